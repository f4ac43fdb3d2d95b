// How often each expert of each layer is visited, as a picture.
#pragma once

#include <string>
#include <vector>

namespace moebench {

struct LoadMap {
  std::string title, description;
  // layers[l].shares[e]: share of the tokens that visit expert e of that layer, 0 to 1. Layers may differ in experts.
  struct Layer {
    int layer = 0;
    std::vector<double> shares;
  };
  std::vector<Layer> layers;  // ascending
};

// An <svg> element of class "figure": a column for each layer, a row for each expert, coloured by its share over the
// layer's mean (blue: less, orange: more, up to four times; crossed: nobody visits it). It needs figure_style() around.
std::string draw_load_map(const LoadMap& map);

}  // namespace moebench
