#include "harness/retraining/trained_weight.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

namespace moebench {
namespace {

// [rows, columns], uniform up to 1 / sqrt(inputs): kaiming_uniform with a = sqrt(5).
at::Tensor uniform_factor(int64_t rows, int64_t columns, int64_t inputs, at::Generator& generator) {
  const double bound = 1 / std::sqrt(static_cast<double>(inputs));
  return at::empty({rows, columns}, at::kFloat).uniform_(-bound, bound, generator);
}

// [N, D]: of each block, left_e right_e.
at::Tensor block_products(const at::Tensor& left, const at::Tensor& right, at::IntArrayRef widths) {
  const auto num_blocks = static_cast<int64_t>(widths.size());
  const int64_t rank = left.size(1), columns = right.size(1);
  if (std::all_of(widths.begin(), widths.end(), [&](int64_t width) { return width == widths[0]; })) {
    return at::bmm(left.view({num_blocks, widths[0], rank}), right.view({num_blocks, rank, columns})).flatten(0, 1);
  }
  const std::vector<at::Tensor> lefts = left.split_with_sizes(widths), rights = right.split(rank);
  std::vector<at::Tensor> products;
  for (size_t block = 0; block < widths.size(); ++block) products.push_back(at::mm(lefts[block], rights[block]));
  return at::cat(products);
}

}  // namespace

TrainedWeight::TrainedWeight(const at::Tensor& weight, std::vector<int64_t> widths, Direction direction,
                             const WeightTraining& training, at::ScalarType dtype, at::Generator& generator)
    : weight_(weight.to(training.training == Training::kFull ? at::kFloat : dtype).contiguous()),
      widths_(std::move(widths)),
      direction_(direction),
      training_(training),
      dtype_(dtype) {
  if (is_replaced()) weight_ = weight_.clone().set_requires_grad(true);
  if (training_.training != Training::kLowRank) return;
  const int64_t rank = training_.rank, columns = weight.size(1);
  const auto num_blocks = static_cast<int64_t>(widths_.size());
  if (direction_ == Direction::kToBlocks) {
    left_ = at::zeros({weight.size(0), rank}, at::kFloat);
    right_ = uniform_factor(num_blocks * rank, columns, columns, generator);
  } else {
    std::vector<at::Tensor> parts;
    for (const int64_t width : widths_) parts.push_back(uniform_factor(width, rank, width, generator));
    left_ = at::cat(parts);
    right_ = at::zeros({num_blocks * rank, columns}, at::kFloat);
  }
  left_.set_requires_grad(true);
  right_.set_requires_grad(true);
}

StackedFactors TrainedWeight::factors() const {
  StackedFactors factors{.weight = weight_.to(dtype_), .widths = widths_};
  if (!is_updated()) return factors;
  if (is_folded()) {
    factors.weight = (weight_ + block_products(left_, right_, widths_) * scale()).to(dtype_);
    return factors;
  }
  factors.left = left_.to(dtype_);
  factors.right = right_.to(dtype_);
  factors.scale = scale();
  return factors;
}

double TrainedWeight::scale() const { return training_.alpha / static_cast<double>(training_.rank); }

// An update costs three products of its rank with the inputs, and those of each block, which are small and slow; the
// weight's own gradient costs one product of its width.
bool TrainedWeight::is_folded() const {
  const auto num_blocks = static_cast<int64_t>(widths_.size());
  return is_updated() && training_.dropout == 0 && weight_.size(0) < 6 * num_blocks * training_.rank;
}

std::vector<StackedFactors> TrainedWeight::blocks() const {
  const StackedFactors all = factors();
  if (widths_.size() == 1) return {all};
  const std::vector<at::Tensor> weights = all.weight.split_with_sizes(widths_);
  std::vector<at::Tensor> left(widths_.size()), right(widths_.size());
  if (all.left.defined()) {
    left = all.left.split_with_sizes(widths_);
    right = all.right.split(training_.rank);
  }
  std::vector<StackedFactors> blocks;
  for (size_t block = 0; block < widths_.size(); ++block) {
    blocks.push_back({weights[block], {widths_[block]}, left[block], right[block], all.scale});
  }
  return blocks;
}

at::Tensor TrainedWeight::apply(const StackedFactors& factors, const at::Tensor& input,
                                at::Generator& generator) const {
  StackedFactors scaled = factors;
  at::Tensor mask;
  if (factors.left.defined() && training_.dropout > 0) {
    mask = at::empty(input.sizes(), input.options().dtype(at::kBool)).bernoulli_(1 - training_.dropout, generator);
    scaled.scale /= 1 - training_.dropout;
  }
  return direction_ == Direction::kToBlocks ? to_blocks(scaled, input, mask) : from_blocks(scaled, input, mask);
}

void TrainedWeight::add_parameters(const std::string& name, std::vector<TrainedParameter>& parameters) const {
  if (is_replaced()) parameters.push_back({name, weight_});
  if (!is_updated()) return;
  parameters.push_back({name + ".left", left_});
  parameters.push_back({name + ".right", right_});
}

at::Tensor TrainedWeight::rows_of(const at::Tensor& stacked, size_t block) const {
  int64_t first = 0;
  for (size_t before = 0; before < block; ++before) first += widths_[before];
  return stacked.detach().narrow(0, first, widths_[block]);
}

LowRankUpdate TrainedWeight::block_update(size_t block) const {
  const at::Tensor left = rows_of(left_, block);
  const at::Tensor right = right_.detach().narrow(0, static_cast<int64_t>(block) * training_.rank, training_.rank);
  if (direction_ == Direction::kToBlocks) return {.a = right.clone(), .b = left * scale()};
  return {.a = left.t().clone(at::MemoryFormat::Contiguous), .b = (right.t() * scale()).contiguous()};
}

at::Tensor TrainedWeight::block_weight(size_t block) const {
  const at::Tensor rows = rows_of(weight_, block);
  return (direction_ == Direction::kToBlocks ? rows : rows.t()).clone(at::MemoryFormat::Contiguous);
}

LowRankUpdate joined(const std::optional<LowRankUpdate>& before, const LowRankUpdate& update) {
  if (!before) return update;
  return {.a = at::cat({before->a.to(at::kFloat), update.a}), .b = at::cat({before->b.to(at::kFloat), update.b}, 1)};
}

}  // namespace moebench
