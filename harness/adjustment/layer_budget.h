// Layers of different sizes, of the same size in total.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "harness/adjustment/layer_sensitivity.h"
#include "harness/checkpoint/llama_config.h"
#include "harness/moe_shape.h"

namespace moebench {

// The shape of one layer: the active experts are the shape's times 1 + slope (1 - 2 layer / (num_layers - 1)), rounded;
// shared and routed ones in the shape's proportion. Over all layers they sum to num_layers times the shape's.
MoeShape layer_shape(const MoeShape& shape, double slope, int64_t layer, int64_t num_layers);

// Throws std::invalid_argument where a layer would have no active expert or more than there are, route to none where
// the shape routes, or where the slope changes nothing because the active experts are too few.
void check_layer_shapes(const MoeShape& shape, double slope, const LlamaConfig& config);

struct ActiveRange {
  int64_t fewest = 0, most = 0;
};

// Numbers of active experts that a layer may have, the shape's among them: shared and routed ones in the shape's
// proportion, at least one routed where the shape routes, and each such layer one that fits, which throws
// std::invalid_argument where it does not. Throws that itself where there is no other number than the shape's.
ActiveRange active_range(const MoeShape& shape, const LlamaConfig& config,
                         const std::function<void(const MoeShape&)>& check_fits);

// Every layer's shape: active experts within range that sum to as many layers times the shape's, and of all such the
// ones whose layers' movements, each at the share of neurons that is not active, have the least sum; of equal ones
// earlier layers get more.
std::vector<MoeShape> allocate_budgets(const MoeShape& shape, const ActiveRange& range, int64_t intermediate_size,
                                       const std::vector<LayerSensitivity>& sensitivities);

}  // namespace moebench
