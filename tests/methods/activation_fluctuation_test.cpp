#include "methods/activation_fluctuation.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/methods/golden_arrays.h"
#include "tests/methods/layer_scene.h"

namespace moebench {
namespace {

double largest_relative_difference(const at::Tensor& value, const at::Tensor& expected) {
  const at::Tensor wanted = expected.to(at::kDouble);
  return ((value.to(at::kDouble) - wanted).abs() / wanted.abs()).max().item<double>();
}

TEST(ActivationFluctuationTest, EqualsTheClosedFormOfThePublishedCode) {
  const std::vector<at::Tensor> samples = random_windows(7, 30, 12, 4);
  ActivationFluctuation fluctuation(12);
  at::Tensor mean = at::zeros({12}, at::kDouble), expected = mean.clone();
  for (size_t n = 1; n <= samples.size(); ++n) {
    fluctuation.observe_sample(samples[n - 1]);
    const at::Tensor h = samples[n - 1].to(at::kDouble);
    mean = mean + (h.mean(0) - mean) / static_cast<double>(n);
    if (n > 1) expected = expected + (h - mean).square().sum(0) * (1 - 1.0 / static_cast<double>(n));
  }
  expected = expected / static_cast<double>(samples.size() - 1);
  EXPECT_LT(largest_relative_difference(fluctuation.published(), expected), 1e-6);
  EXPECT_LT((fluctuation.mean() - mean).abs().max().item<double>(), 1e-6);
}

TEST(ActivationFluctuationTest, TextbookEstimatorIsTheVarianceOverAllTokens) {
  ActivationFluctuation fluctuation(12);
  std::vector<at::Tensor> all;
  for (const at::Tensor& sample : random_windows(5, 40, 12, 4)) {
    // Samples of different length and mean.
    all.push_back(sample.narrow(0, 0, 20 + 5 * static_cast<int64_t>(all.size())) + static_cast<double>(all.size()));
    fluctuation.observe_sample(all.back());
  }
  EXPECT_LT(largest_relative_difference(fluctuation.variance(), at::cat(all).to(at::kDouble).var(0)), 1e-6);
}

class ReleasedFlap : public testing::TestWithParam<int64_t> {
 protected:
  void SetUp() override {
    arrays_ = GoldenArrays::read("a3_dive");
    if (!arrays_) GTEST_SKIP() << "no reference outputs beside the repository (../shared/golden/methods)";
    dense_ = {array("wg"), array("wu"), array("wd")};
    samples_ = array("X")[GetParam()].unbind(0);
  }
  at::Tensor array(const std::string& name) const { return (*arrays_)[name]; }

  std::optional<GoldenArrays> arrays_;
  GatedMlpWeights dense_;
  std::vector<at::Tensor> samples_;  // of one domain
};

INSTANTIATE_TEST_SUITE_P(Domains, ReleasedFlap, testing::Range<int64_t>(0, 8));

TEST_P(ReleasedFlap, StatisticsAgree) {
  ActivationFluctuation fluctuation(176);
  for (const at::Tensor& sample : samples_) fluctuation.observe_sample(Window(dense_, sample).activations);
  EXPECT_LT(largest_relative_difference(fluctuation.published(), array("fluc")[GetParam()]), 1e-5);
  EXPECT_LT((fluctuation.mean() - array("mean_h")[GetParam()]).abs().max().item<double>(), 1e-6);
  const at::Tensor metric = fluctuation.published() * array("wd").square().sum({0}, false, at::kDouble);
  EXPECT_LT(largest_relative_difference(metric, array("metric_WIFV")[GetParam()]), 1e-5);
}

// DIVE's masks are FLAP's: the same neurons stay, and the same bias stands for the others.
TEST_P(ReleasedFlap, StaticPruningKeepsTheSameNeuronsWithTheSameBias) {
  const std::vector<std::pair<std::string, int64_t>> cases = {{"1_8", 154}, {"1_4", 132}, {"1_2", 88}};
  const auto converter = make_converter("static_pruning", {{"criterion", "flap"}, {"compensation", "bias"}});
  for (const auto& [ratio, num_kept] : cases) {
    const LayerConversion conversion = convert_layer(*converter, dense_, samples_, MoeShape{1, 0, 1, num_kept});
    const at::Tensor kept = array("keep_" + ratio)[GetParam()].nonzero().squeeze(1);
    EXPECT_TRUE(conversion.shared->neurons.equal(kept)) << ratio;
    const at::Tensor bias = array("bias_fp32mean_" + ratio)[GetParam()];
    EXPECT_LT((*conversion.shared->output_bias - bias).abs().max().item<double>(), 1e-5) << ratio;
  }
}

}  // namespace
}  // namespace moebench
