// Hand-written backward passes against what autograd makes of the definition in double.
#include "harness/retraining/layer_functions.h"

#include <functional>

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include "harness/model/attention.h"
#include "harness/retraining/head_loss.h"
#include "harness/retraining/stacked_product.h"
#include "harness/retraining/trained_attention.h"

namespace moebench {
namespace {

using Inputs = std::vector<at::Tensor>;
using Computation = std::function<at::Tensor(const Inputs&)>;

at::Tensor normal(at::IntArrayRef sizes, uint64_t seed) {
  return at::randn(sizes, at::detail::createCPUGenerator(seed));
}

// Output and gradients of a weighted sum of it, all in double.
Inputs differentiate(const Computation& compute, const Inputs& inputs, at::ScalarType dtype) {
  Inputs leaves;
  for (const at::Tensor& input : inputs) {
    leaves.push_back(input.to(dtype, false, /*copy=*/true).set_requires_grad(true));
  }
  const at::Tensor output = compute(leaves);
  output.backward(normal(output.sizes(), 99).to(dtype));
  Inputs results = {output.detach().to(at::kDouble)};
  for (const at::Tensor& leaf : leaves) results.push_back(leaf.grad().to(at::kDouble));
  return results;
}

void expect_same(const Computation& ours, const Computation& definition, const Inputs& inputs) {
  const Inputs actual = differentiate(ours, inputs, at::kFloat);
  const Inputs expected = differentiate(definition, inputs, at::kDouble);
  for (size_t index = 0; index < actual.size(); ++index) {
    const double scale = 1 + expected[index].abs().max().item<double>();
    EXPECT_LT((actual[index] - expected[index]).abs().max().item<double>(), 3e-6 * scale) << "of " << index;
  }
}

TEST(GatedProductTest, AgreesWithItsDefinition) {
  expect_same([](const Inputs& in) { return gated_product(in[0], in[1]); },
              [](const Inputs& in) { return in[0] * at::sigmoid(in[0]) * in[1]; },
              {normal({7, 5}, 1), normal({7, 5}, 2)});
}

TEST(TrainedRmsNormTest, AgreesWithItsDefinition) {
  expect_same([](const Inputs& in) { return trained_rms_norm(in[0], in[1], 1e-2); },
              [](const Inputs& in) { return in[0] / (in[0].square().mean(-1, true) + 1e-2).sqrt() * in[1]; },
              {normal({3, 4, 6}, 1), normal({6}, 2)});
}

at::Tensor block_weight(const Inputs& factors, at::IntArrayRef widths, double scale) {
  std::vector<at::Tensor> products;
  const int64_t rank = factors[1].size(1);
  for (int64_t block = 0, first = 0; block < static_cast<int64_t>(widths.size()); first += widths[block++]) {
    products.push_back(
        at::matmul(factors[1].narrow(0, first, widths[block]), factors[2].narrow(0, block * rank, rank)));
  }
  return factors[0] + scale * at::cat(products);
}

TEST(StackedProductTest, BothDirectionsAgreeWithTheSumOfWeightAndUpdate) {
  for (const std::vector<int64_t>& widths : {std::vector<int64_t>{9}, {4, 3, 2}}) {
    const auto num_blocks = static_cast<int64_t>(widths.size());
    const Inputs factors = {normal({9, 5}, 1), normal({9, 2}, 2), normal({2 * num_blocks, 5}, 3)};
    const auto ours = [&](const Inputs& in) {
      return StackedFactors{.weight = in[0], .widths = widths, .left = in[1], .right = in[2], .scale = 0.7};
    };
    Inputs to = factors, from = factors;
    to.push_back(normal({40, 5}, 4));
    from.push_back(normal({40, 9}, 5));
    expect_same([&](const Inputs& in) { return to_blocks(ours(in), in[3]); },
                [&](const Inputs& in) { return at::matmul(in[3], block_weight(in, widths, 0.7).t()); }, to);
    expect_same([&](const Inputs& in) { return from_blocks(ours(in), in[3]); },
                [&](const Inputs& in) { return at::matmul(in[3], block_weight(in, widths, 0.7)); }, from);
  }
}

TEST(StackedProductTest, MaskMeetsTheUpdatesInputOnly) {
  const std::vector<int64_t> widths = {4, 5};
  const Inputs inputs = {normal({9, 5}, 1), normal({9, 2}, 2), normal({4, 5}, 3), normal({40, 5}, 4),
                         normal({40, 9}, 5)};
  const at::Tensor mask_TD = normal({40, 5}, 6).gt(0), mask_TN = normal({40, 9}, 7).gt(0);
  const auto ours = [&](const Inputs& in) {
    return StackedFactors{.weight = in[0], .widths = widths, .left = in[1], .right = in[2], .scale = 0.7};
  };
  const auto update = [&](const Inputs& in) { return block_weight(in, widths, 0.7) - in[0]; };
  expect_same(
      [&](const Inputs& in) {
        return at::matmul(to_blocks(ours(in), in[3], mask_TD),
                          from_blocks(ours(in), in[4], mask_TN).t().narrow(0, 0, 1).expand({9, 40}));
      },
      [&](const Inputs& in) {
        const at::Tensor to = at::matmul(in[3], in[0].t()) + at::matmul(in[3] * mask_TD, update(in).t());
        const at::Tensor from = at::matmul(in[4], in[0]) + at::matmul(in[4] * mask_TN, update(in));
        return at::matmul(to, from.t().narrow(0, 0, 1).expand({9, 40}));
      },
      inputs);
}

TEST(StackedProductTest, FrozenWeightGetsNoGradient) {
  const at::Tensor weight = normal({6, 5}, 1), input = normal({40, 5}, 2).set_requires_grad(true);
  to_blocks({.weight = weight, .widths = {6}}, input).sum().backward();
  EXPECT_FALSE(weight.grad().defined());
  EXPECT_TRUE(input.grad().defined());
}

// Scores of all pairs, in double.
at::Tensor plain_attention(const Inputs& in, int64_t window) {
  const int64_t num_tokens = in[0].size(2), heads_a_group = in[0].size(1) / in[1].size(1);
  const at::Tensor keys = in[1].repeat_interleave(heads_a_group, 1), values = in[2].repeat_interleave(heads_a_group, 1);
  const at::Tensor positions = at::arange(num_tokens, at::kLong);
  const at::Tensor distance = positions.unsqueeze(1) - positions.unsqueeze(0);
  const at::Tensor scores = at::matmul(in[0], keys.transpose(2, 3)) / std::sqrt(static_cast<double>(in[0].size(3)));
  const at::Tensor hidden = distance.lt(0).logical_or(distance.ge(window));
  return at::matmul(scores.masked_fill(hidden, -std::numeric_limits<double>::infinity()).softmax(-1), values);
}

TEST(TrainedAttentionTest, AgreesWithItsDefinitionOverSeveralBlocks) {
  for (const int64_t num_tokens : {5, 200}) {
    for (const int64_t window : {1000, 3, 150}) {
      SCOPED_TRACE(std::to_string(num_tokens) + " tokens, window " + std::to_string(window));
      expect_same(
          [&](const Inputs& in) { return trained_attention(in[0], in[1], in[2], window); },
          [&](const Inputs& in) { return plain_attention(in, window); },
          {normal({2, 4, num_tokens, 8}, 1), normal({2, 2, num_tokens, 8}, 2), normal({2, 2, num_tokens, 8}, 3)});
    }
  }
}

TEST(HeadLossTest, LossAndGradientsAgreeWithAutogradOverSeveralSlices) {
  const int64_t num_tokens = 1100;
  const at::Tensor hidden = normal({num_tokens, 6}, 1), head = normal({13, 6}, 2);
  const at::Tensor targets = at::randint(13, {num_tokens}, at::detail::createCPUGenerator(3), at::kLong);
  const at::Tensor hidden_leaf = hidden.to(at::kDouble).set_requires_grad(true);
  const at::Tensor head_leaf = head.to(at::kDouble).set_requires_grad(true);
  const at::Tensor expected =
      at::nll_loss(at::log_softmax(at::matmul(hidden_leaf, head_leaf.t()), -1), targets, {}, at::Reduction::Sum);
  (0.01 * expected).backward();

  const at::Tensor head_gradient = at::zeros_like(head);
  const HeadLoss loss = head_loss(hidden, head, targets, 0.01, head_gradient);
  EXPECT_NEAR(loss.sum, expected.item<double>(), 1e-3);
  EXPECT_LT((loss.hidden_gradient.to(at::kDouble) - hidden_leaf.grad()).abs().max().item<double>(), 1e-7);
  EXPECT_LT((head_gradient.to(at::kDouble) - head_leaf.grad()).abs().max().item<double>(), 1e-5);
}

}  // namespace
}  // namespace moebench
