#include "harness/adjustment/adjustment_preparation.h"

#include "harness/adjustment/layer_budget.h"
#include "harness/adjustment/layer_sensitivity.h"

namespace moebench {

std::shared_ptr<AdjustmentPreparation> prepare_adjustment(const AdjustmentOptions& options,
                                                          const ConversionContext& context,
                                                          const std::function<void(const MoeShape&)>& check_fits) {
  auto preparation = std::make_shared<AdjustmentPreparation>();
  const LlamaConfig& config = context.checkpoint.config();
  if (options.budgets == "measured") {
    const ActiveRange range = active_range(context.shape, config, check_fits);
    preparation->shapes =
        allocate_budgets(context.shape, range, config.intermediate_size, measure_sensitivity(context));
  }
  if (options.target == "teacher") preparation->teacher = std::make_unique<TeacherStream>(context);
  return preparation;
}

void check_budgets(const AdjustmentOptions& options, const MoeShape& shape, const LlamaConfig& config,
                   const std::function<void(const MoeShape&)>& check_fits) {
  if (options.budgets == "measured") {
    active_range(shape, config, check_fits);
    return;
  }
  check_layer_shapes(shape, options.budget_slope, config);
  for (int64_t layer = 0; layer < config.num_layers; ++layer) {
    check_fits(layer_shape(shape, options.budget_slope, layer, config.num_layers));
  }
}

MoeShape budgeted_shape(const AdjustmentOptions& options, const LayerContext& context,
                        const AdjustmentPreparation* preparation) {
  if (preparation != nullptr && !preparation->shapes.empty()) return preparation->shapes[context.dense.index];
  return layer_shape(context.shape, options.budget_slope, context.dense.index, context.num_layers);
}

}  // namespace moebench
