#include "harness/adjustment/teacher_stream.h"

#include <stdexcept>

#include <ATen/ATen.h>

namespace moebench {

TeacherStream::TeacherStream(const ConversionContext& context)
    : checkpoint_(context.checkpoint), precision_(context.precision) {
  for (const at::Tensor& windows : context.text->windows) {
    for (const at::Tensor& residual : embed(checkpoint_, windows, precision_).unbind(0)) {
      residuals_.push_back(residual);
    }
  }
}

const std::vector<at::Tensor>& TeacherStream::after_layer(int64_t layer) {
  if (layer != next_layer_++) throw std::logic_error("the teacher's layers were not asked for in order");
  const LlamaLayer dense = LlamaLayer::load(checkpoint_, layer, precision_);
  for (at::Tensor& residual : residuals_) residual = dense.forward(residual.unsqueeze(0)).squeeze(0);
  return residuals_;
}

}  // namespace moebench
