// A method with switches on.
#pragma once

#include <memory>

#include "harness/adjustment/adjustment_options.h"
#include "harness/converter.h"

namespace moebench {

// A converter that adjusts what inner makes of every layer (layer_adjustment.h), at every layer's own budget
// (layer_budget.h); layouts, retraining recipe and whole-model steps stay inner's. inner itself where nothing is
// switched on. Throws std::invalid_argument for a number out of range.
std::shared_ptr<const Converter> adjusted(std::shared_ptr<const Converter> inner, const AdjustmentOptions& options);

}  // namespace moebench
