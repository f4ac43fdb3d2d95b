#include "harness/retraining/training_schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>

#include "harness/retraining/recipe.h"
#include "harness/retraining/trainable_model.h"

namespace moebench {

std::vector<ScheduledStage> schedule_recipe(const RetrainRecipe& recipe, const Conversion& conversion, int64_t budget,
                                            int64_t window) {
  check_recipe(recipe);
  std::vector<ScheduledStage> stages;
  double share = 0;
  for (const RetrainStage& stage : recipe) {
    if (!trains_something(stage, conversion)) continue;
    stages.push_back({.stage = stage});
    share += stage.token_share;
  }
  if (stages.empty()) {
    throw std::invalid_argument(
        "the recipe trains nothing of this conversion; let it train experts, attention or norms");
  }
  for (ScheduledStage& scheduled : stages) {
    const double tokens = static_cast<double>(budget) * scheduled.stage.token_share / share;
    const auto windows = static_cast<int64_t>(tokens) / window;
    scheduled.windows_a_step = std::max<int64_t>(1, std::min(scheduled.stage.tokens_a_step / window, windows));
    scheduled.steps = std::max<int64_t>(1, windows / scheduled.windows_a_step);
  }
  return stages;
}

double rate_factor(const RetrainStage& stage, int64_t step, int64_t num_steps) {
  const auto warm_up = static_cast<int64_t>(std::ceil(stage.warm_up_share * static_cast<double>(num_steps)));
  if (step < warm_up) return static_cast<double>(step + 1) / static_cast<double>(warm_up);
  if (stage.schedule == RetrainStage::Schedule::kConstant) return 1;
  const double progress = static_cast<double>(step - warm_up) / static_cast<double>(num_steps - warm_up);
  return stage.floor_share + (1 - stage.floor_share) * 0.5 * (1 + std::cos(std::numbers::pi * progress));
}

}  // namespace moebench
