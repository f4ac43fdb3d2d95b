#include "harness/adjustment/ridge_regression.h"

#include <algorithm>

#include <ATen/ATen.h>

namespace moebench {
namespace {

double inner_product(const at::Tensor& a, const at::Tensor& b) { return (a * b).sum().item<double>(); }

}  // namespace

RidgeRegression::RidgeRegression(int64_t num_features, int64_t num_targets)
    : gram_(num_features), products_(at::zeros({num_features, num_targets}, at::kDouble)) {}

void RidgeRegression::observe(const at::Tensor& features, const at::Tensor& targets) {
  gram_.add(features);
  products_.add_(product_over_tokens(features, targets).to(at::kCPU));
  squared_targets_ += targets.square().sum(at::kDouble).item<double>();
}

RidgeSolution RidgeRegression::solve(const at::Tensor& gram, const at::Tensor& start, const at::Tensor& penalty) const {
  const at::Tensor missing = products_ - gram.matmul(start);
  const at::Tensor factor = at::linalg_cholesky(gram + at::diag(penalty));
  const at::Tensor change = at::cholesky_solve(missing, factor);
  // gram * change is missing - penalty * change, so the errors need no further product.
  const double at_start = squared_targets_ - inner_product(start, products_ + missing);
  const double penalised = inner_product(change, change * penalty.unsqueeze(1));
  const double error = at_start - inner_product(change, missing) - penalised;
  return {start + change, std::max(at_start, 0.0), std::max(error, 0.0)};
}

}  // namespace moebench
