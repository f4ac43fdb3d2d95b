// A recipe laid out over a token budget.
#pragma once

#include <cstdint>
#include <vector>

#include "harness/conversion.h"
#include "harness/retrain_stage.h"

namespace moebench {

struct ScheduledStage {
  RetrainStage stage;
  int64_t steps = 0;           // at least one
  int64_t windows_a_step = 0;  // at least one
};

// The stages that train something of this conversion, with the shares of those that do not spread over them. A step is
// as many windows as fit into tokens_a_step, or into the stage's tokens where these are fewer; a stage as many steps as
// fit into its tokens. Throws std::invalid_argument if no stage trains anything, and as check_recipe does.
std::vector<ScheduledStage> schedule_recipe(const RetrainRecipe& recipe, const Conversion& conversion, int64_t budget,
                                            int64_t window);

// What the stage's rates are multiplied by in a step (from 0): a linear warm-up, then constant or a cosine down to
// floor_share.
double rate_factor(const RetrainStage& stage, int64_t step, int64_t num_steps);

}  // namespace moebench
