#include "harness/retraining/layer_functions.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

namespace moebench {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct GatedProduct : torch::autograd::Function<GatedProduct> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& gate, const at::Tensor& up) {
    context->save_for_backward({gate, up});
    return at::silu(gate).mul_(up);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    return {at::silu_backward(gradients[0] * saved[1], saved[0]), at::silu(saved[0]).mul_(gradients[0])};
  }
};

// y = weight x / rms(x): with n = x / rms(x) and g = weight dy, dx = (g - n mean(g n)) / rms(x).
struct RmsNorm : torch::autograd::Function<RmsNorm> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, const at::Tensor& weight, double eps) {
    const at::Tensor exact = input.to(at::kFloat);
    const at::Tensor scale = exact.square().mean(-1, /*keepdim=*/true).add_(eps).rsqrt();
    context->save_for_backward({input, weight, scale});
    return (exact * scale).mul_(weight).to(input.scalar_type());
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &input = saved[0], &weight = saved[1], &scale = saved[2];
    const at::Tensor normed = input.to(at::kFloat) * scale;
    const at::Tensor gradient = gradients[0].to(at::kFloat);
    variable_list result(3);
    if (context->needs_input_grad(1)) result[1] = (gradient * normed).flatten(0, -2).sum(0);
    if (context->needs_input_grad(0)) {
      at::Tensor of_normed = gradient * weight;
      const at::Tensor along = (of_normed * normed).mean(-1, /*keepdim=*/true);
      result[0] = of_normed.sub_(normed * along).mul_(scale).to(input.scalar_type());
    }
    return result;
  }
};

}  // namespace

at::Tensor gated_product(const at::Tensor& gate, const at::Tensor& up) { return GatedProduct::apply(gate, up); }

at::Tensor trained_rms_norm(const at::Tensor& input, const at::Tensor& weight, double eps) {
  return RmsNorm::apply(input, weight, eps);
}

}  // namespace moebench
