#include "methods/fluctuation_pruning.h"

#include <algorithm>
#include <numeric>

#include <ATen/ATen.h>

#include "methods/layout.h"

namespace moebench {

at::Tensor squared_output_norms(const at::Tensor& down_proj) {
  return down_proj.to(at::kFloat).square().sum({0}, false, at::kDouble).to(at::kCPU);
}

std::vector<int64_t> most_important(const at::Tensor& importance, int64_t count) {
  const double* values = importance.const_data_ptr<double>();
  std::vector<int64_t> order(importance.numel());
  std::iota(order.begin(), order.end(), int64_t{0});
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return values[a] > values[b]; });
  order.resize(count);
  return order;
}

at::Tensor mean_output_of_dropped(const at::Tensor& down_proj, const at::Tensor& mean, const at::Tensor& kept) {
  const at::Tensor dropped_mean = mean.index_fill(0, kept, 0);
  return down_proj.to(at::kCPU, at::kDouble).matmul(dropped_mean).to(down_proj.scalar_type());
}

ExpertSpec FluctuationPruning::prune(const ActivationFluctuation& fluctuation, const at::Tensor& down_proj,
                                     int64_t num_kept) const {
  const at::Tensor moved = estimator == Estimator::kTextbook ? fluctuation.variance() : fluctuation.published();
  ExpertSpec expert = expert_of(most_important(moved * squared_output_norms(down_proj), num_kept));
  at::Tensor mean = fluctuation.mean();
  if (half_precision_mean) mean = mean.to(at::kHalf).to(at::kDouble);
  expert.output_bias = mean_output_of_dropped(down_proj, mean, expert.neurons);
  return expert;
}

}  // namespace moebench
