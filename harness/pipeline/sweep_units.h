// What of a sweep is done by one process: a pass of conversions, a retraining, the measurements of one model.
#pragma once

#include <string>
#include <vector>

#include "harness/pipeline/sweep_todo.h"

namespace moebench {

struct SweepUnit {
  std::string label;
  size_t model = 0;                     // of the plan's
  std::vector<const SweepCell*> cells;  // in the order in which they are done
  std::vector<size_t> needs;            // units whose cells these are made of; all before this one
};

// plan must outlive the result.
std::vector<SweepUnit> sweep_units(const SweepPlan& plan, const std::vector<SweepTodo>& todos);

}  // namespace moebench
