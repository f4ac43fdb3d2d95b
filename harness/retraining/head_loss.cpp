#include "harness/retraining/head_loss.h"

#include <algorithm>

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "harness/model/linear.h"

namespace moebench {
namespace {

constexpr int64_t kSlice = 512;  // tokens whose logits are held: 100 MB of 49152

}  // namespace

HeadLoss head_loss(const at::Tensor& hidden, const at::Tensor& head, const at::Tensor& targets, double factor,
                   at::Tensor head_gradient) {
  const at::NoGradGuard no_grad;
  HeadLoss loss{.hidden_gradient = at::empty_like(hidden)};
  const at::ScalarType dtype = product_dtype(hidden.scalar_type(), hidden.device());
  const at::Tensor weight = head.to(dtype);
  for (int64_t first = 0; first < hidden.size(0); first += kSlice) {
    const int64_t count = std::min(kSlice, hidden.size(0) - first);
    const at::Tensor rows = hidden.narrow(0, first, count).to(dtype);
    const at::Tensor target = targets.narrow(0, first, count).unsqueeze(1);
    at::Tensor logprobs = at::log_softmax(at::linear(rows, weight).to(hidden.scalar_type()), -1, at::kFloat);
    loss.sum -= logprobs.gather(1, target).sum(at::kDouble).item<double>();
    // softmax - 1 at the target.
    at::Tensor gradient = logprobs.exp_();
    gradient.scatter_add_(1, target, at::full(target.sizes(), -1.0, gradient.options()));
    gradient = gradient.mul_(factor).to(dtype);
    loss.hidden_gradient.narrow(0, first, count).copy_(at::mm(gradient, weight));
    if (head_gradient.defined()) head_gradient.add_(at::mm(gradient.t(), rows));
  }
  return loss;
}

}  // namespace moebench
