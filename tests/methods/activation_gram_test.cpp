#include "methods/activation_gram.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/methods/layer_scene.h"

namespace moebench {
namespace {

constexpr int64_t kNeurons = 13, kHidden = 6;

class ActivationGramTest : public testing::Test {
 protected:
  ActivationGram observe(const std::vector<at::Tensor>& windows, const std::vector<at::Tensor>& weights = {}) {
    ActivationGram gram(kNeurons);
    for (size_t window = 0; window < windows.size(); ++window) {
      gram.observe(windows[window], weights.empty() ? std::nullopt : std::optional(weights[window]));
    }
    return gram;
  }

  double distance(const at::Tensor& a, const at::Tensor& b) {
    return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
  }

  const std::vector<at::Tensor> windows_ = [] {
    std::vector<at::Tensor> windows;
    for (const at::Tensor& window : random_windows(3, 40, kNeurons, 8)) windows.push_back(window + 0.3);
    return windows;
  }();
  const at::Tensor down_proj_ = random_mlp(kNeurons, kHidden, 9).down_proj;
  const at::Tensor kept_ = at::tensor({0, 2, 3, 5, 7, 8, 11}, at::kLong);
};

// The regression as one writes it down, from all tokens at once in double: minimise
// sum_t w_t^2 |y_t - W h_t - b|^2 + lambda |W - W_old|^2 + 1e-3 n |b|^2.
DownProjRefit direct_regression(const std::vector<at::Tensor>& windows, const at::Tensor& weights,
                                const at::Tensor& kept, const at::Tensor& down_proj, double ridge) {
  const at::Tensor h = at::cat(windows).to(at::kDouble), w_old = down_proj.to(at::kDouble);
  const at::Tensor scale = (weights / weights.square().mean().sqrt()).to(at::kDouble).unsqueeze(1);
  const at::Tensor features = at::cat({h.index_select(1, kept), at::ones({h.size(0), 1}, at::kDouble)}, 1) * scale;
  const at::Tensor missing =
      (at::mm(h, w_old.t()) - at::mm(h.index_select(1, kept), w_old.index_select(1, kept).t())) * scale;
  const at::Tensor gram = at::mm(features.t(), features);
  at::Tensor penalty = at::full({gram.size(0)}, ridge * gram.diagonal().mean().item<double>(), at::kDouble);
  penalty[-1] = 1e-3 * static_cast<double>(h.size(0));
  const at::Tensor change = at::mm((gram + at::diag(penalty)).inverse(), at::mm(features.t(), missing));
  return {w_old.index_select(1, kept) + change.narrow(0, 0, kept.size(0)).t(), change[-1]};
}

TEST_F(ActivationGramTest, RefitEqualsTheRegressionOverAllTokens) {
  const DownProjRefit ours = observe(windows_).refit(kept_, down_proj_, 0.01);
  const DownProjRefit direct = direct_regression(windows_, at::ones({120}), kept_, down_proj_, 0.01);
  EXPECT_LT(distance(ours.down_proj, direct.down_proj), 1e-5);
  EXPECT_LT(distance(ours.output_bias, direct.output_bias), 1e-5);
}

TEST_F(ActivationGramTest, TokenWeightsWeighTheSquaredErrors) {
  std::vector<at::Tensor> weights;
  for (const at::Tensor& window : windows_) weights.push_back(window.select(1, 0).abs() + 0.1);
  const DownProjRefit ours = observe(windows_, weights).refit(kept_, down_proj_, 0.01);
  const DownProjRefit direct = direct_regression(windows_, at::cat(weights), kept_, down_proj_, 0.01);
  EXPECT_LT(distance(ours.down_proj, direct.down_proj), 1e-5);
  EXPECT_LT(distance(ours.output_bias, direct.output_bias), 1e-5);
  EXPECT_GT(distance(ours.down_proj, observe(windows_).refit(kept_, down_proj_, 0.01).down_proj), 1e-3);
}

TEST_F(ActivationGramTest, NothingDroppedNothingChanged) {
  const DownProjRefit refit = observe(windows_).refit(at::arange(kNeurons, at::kLong), down_proj_, 0.01);
  EXPECT_TRUE(refit.down_proj.equal(down_proj_));
  EXPECT_TRUE(refit.output_bias.equal(at::zeros({kHidden})));
}

TEST_F(ActivationGramTest, DroppedNeuronsThatKeptOnesDetermineAreMadeUpFor) {
  std::vector<at::Tensor> windows;
  for (at::Tensor window : windows_) {
    window = window.clone();
    window.select(1, 4).copy_(2 * window.select(1, 2) - window.select(1, 7));
    windows.push_back(window);
  }
  std::vector<int64_t> others = {0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12};
  const at::Tensor kept = at::tensor(others, at::kLong);
  const DownProjRefit refit = observe(windows).refit(kept, down_proj_, 1e-9);
  const at::Tensor h = at::cat(windows);
  const at::Tensor output = at::linear(h.index_select(1, kept), refit.down_proj, refit.output_bias);
  EXPECT_LT(distance(output, at::linear(h, down_proj_)), 1e-4);
}

TEST_F(ActivationGramTest, EnergyIsTheWeightedMeanSquare) {
  ActivationEnergy plain(kNeurons), weighted(kNeurons);
  std::vector<at::Tensor> weights;
  for (const at::Tensor& window : windows_) {
    weights.push_back(window.select(1, 0).abs() + 0.1);
    plain.observe(window, std::nullopt);
    weighted.observe(window, weights.back());
  }
  const at::Tensor h = at::cat(windows_), w = at::cat(weights).unsqueeze(1);
  EXPECT_LT(distance(plain.mean(), h.square().mean(0)), 1e-5);
  EXPECT_LT(distance(weighted.mean(), (h * w).square().sum(0) / w.square().sum()), 1e-5);
}

}  // namespace
}  // namespace moebench
