#include "harness/adjustment/layer_budget.h"

#include <cmath>
#include <stdexcept>

namespace moebench {

MoeShape layer_shape(const MoeShape& shape, double slope, int64_t layer, int64_t num_layers) {
  if (num_layers < 2) return shape;
  const int64_t active = shape.num_shared_experts + shape.top_k;
  const double position = 1 - 2 * static_cast<double>(layer) / static_cast<double>(num_layers - 1);  // 1 to -1
  // Halves are rounded away from zero on both sides, so that what the first layers gain the last ones lose.
  const int64_t budget = active + std::llround(slope * static_cast<double>(active) * position);
  MoeShape result = shape;
  result.num_shared_experts =
      std::llround(static_cast<double>(budget * shape.num_shared_experts) / static_cast<double>(active));
  result.top_k = budget - result.num_shared_experts;
  return result;
}

void check_layer_shapes(const MoeShape& shape, double slope, const LlamaConfig& config) {
  if (slope == 0) return;
  for (const int64_t layer : {int64_t{0}, config.num_layers - 1}) {  // the others lie between
    const MoeShape layers = layer_shape(shape, slope, layer, config.num_layers);
    if (layers == shape) {
      throw std::invalid_argument("budget_slope " + std::to_string(slope) + " changes no layer of shape " +
                                  to_string(shape, config.intermediate_size) + "; choose more and smaller experts");
    }
    if (layers.active_neurons() < 1 || layers.top_k > layers.num_routed_experts() ||
        (shape.top_k > 0 && layers.top_k < 1)) {
      throw std::invalid_argument("budget_slope " + std::to_string(slope) + " asks for " +
                                  std::to_string(layers.num_shared_experts) + " shared and " +
                                  std::to_string(layers.top_k) + " routed of " + std::to_string(layers.num_experts) +
                                  " experts in layer " + std::to_string(layer) + "; choose a smaller one");
    }
  }
}

}  // namespace moebench
