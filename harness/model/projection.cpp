#include "harness/model/projection.h"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/grad_mode.h>

namespace moebench {
namespace {

// oneDNN rearranges the weight in every call, which few rows do not repay.
constexpr int64_t kEnoughRows = 32;

// libtorch's own operator for products in oneDNN; it has no C++ header. Arguments: input, weight, bias, and what to
// apply to the result.
using OneDnnLinear = at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&,
                                c10::string_view, c10::List<std::optional<at::Scalar>>,
                                std::optional<c10::string_view>);

bool mkl_neglects_this_processor() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512f") && !__builtin_cpu_is("intel");
#else
  return false;
#endif
}

const std::optional<c10::TypedOperatorHandle<OneDnnLinear>>& onednn_linear() {
  static const auto handle = []() -> std::optional<c10::TypedOperatorHandle<OneDnnLinear>> {
    if (!mkl_neglects_this_processor() || !at::globalContext().userEnabledMkldnn()) return std::nullopt;
    const auto schema = c10::Dispatcher::singleton().findSchema({"mkldnn::_linear_pointwise", ""});
    if (!schema) return std::nullopt;
    return schema->typed<OneDnnLinear>();
  }();
  return handle;
}

bool wants_gradient(const at::Tensor& input, const at::Tensor& weight) {
  return at::GradMode::is_enabled() && (input.requires_grad() || weight.requires_grad());
}

}  // namespace

bool projects_with_onednn(const at::Tensor& input, const at::Tensor& weight) {
  return input.scalar_type() == at::kFloat && input.is_cpu() && input.numel() > 0 &&
         input.numel() >= kEnoughRows * input.size(-1) && !wants_gradient(input, weight) && onednn_linear().has_value();
}

at::Tensor project(const at::Tensor& input, const at::Tensor& weight, const std::optional<at::Tensor>& bias) {
  if (!projects_with_onednn(input, weight)) return at::linear(input, weight, bias);
  // oneDNN computes strided operands with its reference loops, a hundred times slower than a copy.
  return onednn_linear()->call(input.contiguous(), weight.contiguous(), bias, "none",
                               c10::List<std::optional<at::Scalar>>(), std::nullopt);
}

}  // namespace moebench
