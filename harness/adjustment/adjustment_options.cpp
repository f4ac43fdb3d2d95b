#include "harness/adjustment/adjustment_options.h"

#include <cmath>
#include <stdexcept>

namespace moebench {

void check_adjustment(const AdjustmentOptions& options, const std::string& owner) {
  if (!(options.ridge > 0)) throw std::invalid_argument(owner + ": option 'ridge' must be greater than 0");
  if (!(std::abs(options.budget_slope) < 1)) {
    throw std::invalid_argument(owner + ": option 'budget_slope' must lie between -1 and 1");
  }
  if (options.budgets == "measured" && options.budget_slope != 0) {
    throw std::invalid_argument(owner + ": option 'budget_slope' goes with budgets = linear; leave one of them out");
  }
  if (options.target == "teacher" && !options.refits_outputs()) {
    throw std::invalid_argument(owner +
                                ": option 'target' needs outputs that are adjusted; set compensation = least_squares");
  }
}

}  // namespace moebench
