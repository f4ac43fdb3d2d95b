// What methods that cut experts of equal size say about shapes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "harness/checkpoint/llama_config.h"
#include "harness/conversion.h"
#include "harness/moe_shape.h"

namespace moebench {

// active_ratio in eighths, 1 to 8. Throws std::invalid_argument naming the nearest possible ratio.
int64_t active_eighths(const std::string& method, double active_ratio);

// Throws std::invalid_argument unless the shape's experts share out all neurons, a token visits at least one routed
// expert and not more than there are.
void check_partition_shape(const std::string& method, const MoeShape& shape, const LlamaConfig& config);

// Throws std::invalid_argument unless the shape routes nothing and its shared experts use 1 neuron to all of them.
void check_static_shape(const std::string& method, const MoeShape& shape, const LlamaConfig& config);

// The expert of these neurons; sorts them.
ExpertSpec expert_of(std::vector<int64_t> neurons);

}  // namespace moebench
