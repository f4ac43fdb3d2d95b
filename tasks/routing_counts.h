// Which experts a text really visits: what expert_load and the measured activated parameters are made of.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "harness/model/llama.h"
#include "harness/model/moe_layer.h"
#include "harness/task.h"

namespace moebench {

// What text is routed: the options of every task that counts visits.
struct RoutedTextOptions {
  std::string text = "wiki-passages-test";
  int64_t window = 2048;
  int64_t max_windows = 8;
  void for_each(auto&& visit) {
    visit("text", text, "what is routed: a file, or the name of a known text");
    visit("window", window, "tokens of a window");
    visit("max_windows", max_windows, "only the first so many windows; 0 = all");
  }
};

// The mixture in layer's feed-forward slot, or null if it is dense. Owned by the layer.
const MoeLayer* moe_layer(const LlamaLayer& layer);

struct RoutingCounts {
  int64_t text_tokens = 0;                   // of the whole text
  int64_t tokens = 0;                        // of the windows that were run
  std::vector<std::vector<int64_t>> visits;  // [num_layers][E]; an empty row for a layer without routed experts
};

// Runs the first windows of the text (side by side, as the GPTQ protocol cuts it) through the model and counts.
// A model without routed experts is not run. Leaves no observer behind, whatever is thrown. Throws
// std::invalid_argument if the text is shorter than a window.
RoutingCounts count_visits(const TaskContext& context, const RoutedTextOptions& options);

}  // namespace moebench
