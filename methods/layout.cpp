#include "methods/layout.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include <ATen/ATen.h>

namespace moebench {

int64_t active_eighths(const std::string& method, double active_ratio) {
  const double eighths = active_ratio * 8;
  const double nearest = std::clamp(std::round(eighths), 1.0, 8.0);
  if (!(std::abs(eighths - nearest) < 1e-9)) {
    throw std::invalid_argument(method + ": no layout with active ratio " + std::to_string(active_ratio) +
                                "; it goes in eighths, the nearest is " + std::to_string(nearest / 8));
  }
  return static_cast<int64_t>(nearest);
}

void check_partition_shape(const std::string& method, const MoeShape& shape, const LlamaConfig& config) {
  const auto refuse = [&](const std::string& why) {
    return std::invalid_argument(method + ": shape " + to_string(shape, config.intermediate_size) + " " + why);
  };
  if (shape.num_experts < 1 || shape.num_experts * shape.expert_intermediate_size != config.intermediate_size) {
    throw refuse("does not share out the layer's " + std::to_string(config.intermediate_size) +
                 " neurons; leave out W and choose a number of experts that divides them");
  }
  if (shape.num_shared_experts < 0 || shape.top_k < 1 || shape.top_k > shape.num_routed_experts()) {
    throw refuse("needs 1 to " + std::to_string(shape.num_routed_experts()) +
                 " active routed experts; static_pruning makes shapes that route to none");
  }
}

void check_static_shape(const std::string& method, const MoeShape& shape, const LlamaConfig& config) {
  const int64_t active = shape.active_neurons();
  if (shape.top_k == 0 && active >= 1 && active <= config.intermediate_size) return;
  throw std::invalid_argument(method + ": shape " + to_string(shape, config.intermediate_size) +
                              " does not fit; it routes nothing and uses 1 to " +
                              std::to_string(config.intermediate_size) + " neurons, as in S6A0E8");
}

ExpertSpec expert_of(std::vector<int64_t> neurons) {
  std::sort(neurons.begin(), neurons.end());
  return {.neurons = at::tensor(neurons, at::kLong)};
}

}  // namespace moebench
