// More active experts in the first layers, fewer in the last, the same number in total.
#pragma once

#include <cstdint>

#include "harness/checkpoint/llama_config.h"
#include "harness/moe_shape.h"

namespace moebench {

// The shape of one layer: the active experts are the shape's times 1 + slope (1 - 2 layer / (num_layers - 1)), rounded;
// shared and routed ones in the shape's proportion. Over all layers they sum to num_layers times the shape's.
MoeShape layer_shape(const MoeShape& shape, double slope, int64_t layer, int64_t num_layers);

// Throws std::invalid_argument where a layer would have no active expert or more than there are, route to none where
// the shape routes, or where the slope changes nothing because the active experts are too few.
void check_layer_shapes(const MoeShape& shape, double slope, const LlamaConfig& config);

}  // namespace moebench
