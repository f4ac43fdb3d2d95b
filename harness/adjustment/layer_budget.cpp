#include "harness/adjustment/layer_budget.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace moebench {
namespace {

int64_t active_experts(const MoeShape& shape) { return shape.num_shared_experts + shape.top_k; }

// Shared and routed ones in the shape's proportion.
MoeShape with_active_experts(const MoeShape& shape, int64_t count) {
  MoeShape result = shape;
  result.num_shared_experts =
      std::llround(static_cast<double>(count * shape.num_shared_experts) / static_cast<double>(active_experts(shape)));
  result.top_k = count - result.num_shared_experts;
  return result;
}

// layer: made of shape.
bool is_possible(const MoeShape& layer, const MoeShape& shape) {
  return active_experts(layer) >= 1 && layer.top_k <= layer.num_routed_experts() &&
         (shape.top_k == 0 || layer.top_k >= 1);
}

bool fits(const MoeShape& shape, const std::function<void(const MoeShape&)>& check_fits) {
  try {
    check_fits(shape);
    return true;
  } catch (const std::invalid_argument&) {
    return false;
  }
}

}  // namespace

MoeShape layer_shape(const MoeShape& shape, double slope, int64_t layer, int64_t num_layers) {
  if (num_layers < 2) return shape;
  const int64_t active = active_experts(shape);
  const double position = 1 - 2 * static_cast<double>(layer) / static_cast<double>(num_layers - 1);  // 1 to -1
  // Halves are rounded away from zero on both sides, so that what the first layers gain the last ones lose.
  return with_active_experts(shape, active + std::llround(slope * static_cast<double>(active) * position));
}

void check_layer_shapes(const MoeShape& shape, double slope, const LlamaConfig& config) {
  if (slope == 0) return;
  for (const int64_t layer : {int64_t{0}, config.num_layers - 1}) {  // the others lie between
    const MoeShape layers = layer_shape(shape, slope, layer, config.num_layers);
    if (layers == shape) {
      throw std::invalid_argument("budget_slope " + std::to_string(slope) + " changes no layer of shape " +
                                  to_string(shape, config.intermediate_size) + "; choose more and smaller experts");
    }
    if (!is_possible(layers, shape)) {
      throw std::invalid_argument("budget_slope " + std::to_string(slope) + " asks for " +
                                  std::to_string(layers.num_shared_experts) + " shared and " +
                                  std::to_string(layers.top_k) + " routed of " + std::to_string(layers.num_experts) +
                                  " experts in layer " + std::to_string(layer) + "; choose a smaller one");
    }
  }
}

ActiveRange active_range(const MoeShape& shape, const LlamaConfig& config,
                         const std::function<void(const MoeShape&)>& check_fits) {
  const auto is_allowed = [&](int64_t count) {
    const MoeShape layer = with_active_experts(shape, count);
    return is_possible(layer, shape) && fits(layer, check_fits);
  };
  ActiveRange range{active_experts(shape), active_experts(shape)};
  while (range.fewest > 1 && is_allowed(range.fewest - 1)) --range.fewest;
  while (is_allowed(range.most + 1)) ++range.most;
  if (range.fewest == active_experts(shape) || range.most == active_experts(shape)) {
    throw std::invalid_argument("budgets = measured has no room in shape " +
                                to_string(shape, config.intermediate_size) + "; choose more and smaller experts");
  }
  return range;
}

std::vector<MoeShape> allocate_budgets(const MoeShape& shape, const ActiveRange& range, int64_t intermediate_size,
                                       const std::vector<LayerSensitivity>& sensitivities) {
  const size_t num_layers = sensitivities.size();
  const auto gain = [&](size_t layer, int64_t count) {
    const auto movement = [&](int64_t active) {
      const int64_t dropped = intermediate_size - active * shape.expert_intermediate_size;
      return sensitivities[layer].movement(std::max(0.0, static_cast<double>(dropped) / intermediate_size));
    };
    return movement(count) - movement(count + 1);
  };
  std::vector<int64_t> budgets(num_layers, range.fewest);
  // The movements are convex, so the best next expert is also one of the best set.
  for (int64_t left = static_cast<int64_t>(num_layers) * (active_experts(shape) - range.fewest); left > 0; --left) {
    size_t best = num_layers;
    for (size_t layer = 0; layer < num_layers; ++layer) {
      if (budgets[layer] == range.most) continue;
      if (best == num_layers || gain(layer, budgets[layer]) > gain(best, budgets[best])) best = layer;
    }
    ++budgets[best];
  }
  std::vector<MoeShape> shapes;
  for (const int64_t budget : budgets) shapes.push_back(with_active_experts(shape, budget));
  return shapes;
}

}  // namespace moebench
