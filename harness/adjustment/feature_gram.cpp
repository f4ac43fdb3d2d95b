#include "harness/adjustment/feature_gram.h"

#include <algorithm>

#include <ATen/ATen.h>

namespace moebench {
namespace {

// The products are symmetric: with four blocks of columns, from the diagonal down, 10 of 16 parts are computed.
constexpr int64_t kColumnBlocks = 4;

}  // namespace

at::Tensor product_over_tokens(const at::Tensor& left, const at::Tensor& right) {
  return at::linear(left.t().contiguous(), right.t().contiguous());
}

FeatureGram::FeatureGram(int64_t num_features) : lower_(at::zeros({num_features, num_features}, at::kDouble)) {}

void FeatureGram::add(const at::Tensor& features) {
  const at::Tensor transposed = features.t().contiguous();
  const int64_t num_features = transposed.size(0);
  const int64_t width = (num_features + kColumnBlocks - 1) / kColumnBlocks;
  for (int64_t first = 0; first < num_features; first += width) {
    const at::Tensor columns = transposed.narrow(0, first, std::min(width, num_features - first));
    const at::Tensor rows = transposed.narrow(0, first, num_features - first);
    lower_.narrow(0, first, rows.size(0))
        .narrow(1, first, columns.size(0))
        .add_(at::linear(rows, columns).to(at::kCPU));
  }
}

at::Tensor FeatureGram::matrix() const { return lower_.tril() + lower_.tril(-1).t(); }

}  // namespace moebench
