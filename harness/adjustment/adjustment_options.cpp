#include "harness/adjustment/adjustment_options.h"

#include <cmath>
#include <stdexcept>

namespace moebench {

void check_adjustment(const AdjustmentOptions& options, const std::string& owner) {
  if (!(options.ridge > 0)) throw std::invalid_argument(owner + ": option 'ridge' must be greater than 0");
  if (!(std::abs(options.budget_slope) < 1)) {
    throw std::invalid_argument(owner + ": option 'budget_slope' must lie between -1 and 1");
  }
}

}  // namespace moebench
