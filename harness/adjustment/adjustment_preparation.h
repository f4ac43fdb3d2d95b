// What the switches need of the whole model, before its layers are visited.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "harness/adjustment/adjustment_options.h"
#include "harness/adjustment/teacher_stream.h"
#include "harness/converter.h"

namespace moebench {

struct AdjustmentPreparation : public Preparation {
  std::vector<MoeShape> shapes;            // every layer's, where budgets are measured; else empty
  std::unique_ptr<TeacherStream> teacher;  // where it is the target; else null
  std::shared_ptr<const Preparation> own;  // of a method that is adjusted from outside
};

// check_fits throws std::invalid_argument for a layer's shape that the method cannot make.
std::shared_ptr<AdjustmentPreparation> prepare_adjustment(const AdjustmentOptions& options,
                                                          const ConversionContext& context,
                                                          const std::function<void(const MoeShape&)>& check_fits);

// Throws std::invalid_argument if the layers cannot have the budgets that are asked for. check_fits as above.
void check_budgets(const AdjustmentOptions& options, const MoeShape& shape, const LlamaConfig& config,
                   const std::function<void(const MoeShape&)>& check_fits);

// The layer's own shape. preparation: null where nothing was prepared.
MoeShape budgeted_shape(const AdjustmentOptions& options, const LayerContext& context,
                        const AdjustmentPreparation* preparation);

}  // namespace moebench
