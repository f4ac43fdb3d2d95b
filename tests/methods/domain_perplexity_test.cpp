#include "methods/domain_perplexity.h"

#include <cmath>

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/evidence/evidence_pass.h"
#include "harness/model/moe_layer.h"
#include "tests/methods/layer_scene.h"
#include "tests/model/memory_checkpoint.h"

namespace moebench {
namespace {

// Three domains of three windows of 40 tokens on a tiny model: four samples of ten a window.
class DomainPerplexityTest : public testing::Test {
 protected:
  void SetUp() override {
    for (int64_t domain = 0; domain < 3; ++domain) {
      text_.domains.push_back("d" + std::to_string(domain));
      text_.windows.push_back(
          at::randint(20 * domain, 20 * domain + 20, {3, 40}, at::detail::createCPUGenerator(domain), at::kLong));
    }
  }

  at::Tensor measured(const DomainPruning& settings) const {
    return domain_perplexities({checkpoint_, precision_, &text_, shape_, 0, progress_}, settings);
  }

  // With the library's static pruning on the samples that calibrate, and a softmax over all logits.
  double expected(int64_t pruned_for, int64_t read, int64_t num_held_out) const {
    const at::NoGradGuard no_grad;
    const auto samples_of = [&](int64_t domain) { return text_.windows[domain].reshape({12, 10}); };
    CalibrationText text;
    text.domains = {"samples"};
    text.windows = {samples_of(pruned_for).narrow(0, 0, 12 - num_held_out)};
    const auto converter =
        make_converter("static_pruning", {{"criterion", "flap"}, {"compensation", "bias"}, {"propagate", "dense"}});
    LlamaModel model = LlamaModel::load(checkpoint_, precision_);
    apply_conversion(
        convert_all(checkpoint_, precision_, &text, {{.converter = converter.get(), .shape = {1, 0, 1, 24}}}).front(),
        model);
    const at::Tensor held_out = samples_of(read).narrow(0, 12 - num_held_out, num_held_out);
    const at::Tensor logprobs = model.logits(model.forward(held_out)).to(at::kDouble).log_softmax(-1).narrow(1, 0, 9);
    return std::exp(-logprobs.gather(2, held_out.narrow(1, 1, 9).unsqueeze(2)).mean().item<double>());
  }

  const MemoryCheckpoint checkpoint_{tiny_llama_config()};
  const Precision precision_;
  const MoeShape shape_{0, 1, 2, 24};
  CalibrationText text_;
  std::function<void(double)> progress_;
};

TEST_F(DomainPerplexityTest, EveryModelReadsTheHeldOutTextOfEveryDomain) {
  const at::Tensor matrix = measured({.num_kept = 24, .sample_tokens = 10, .held_out_samples = 5});
  ASSERT_THAT(matrix.sizes(), testing::ElementsAre(3, 3));
  for (int64_t row = 0; row < 3; ++row) {
    for (int64_t column = 0; column < 3; ++column) {
      const double wanted = expected(row, column, 5);
      EXPECT_NEAR(matrix[row][column].item<double>(), wanted, 1e-5 * wanted) << row << ", " << column;
    }
  }
}

TEST_F(DomainPerplexityTest, ProgressRisesToTheEnd) {
  std::vector<double> fractions;
  progress_ = [&](double fraction) { fractions.push_back(fraction); };
  measured({.num_kept = 24, .sample_tokens = 10});
  EXPECT_TRUE(std::is_sorted(fractions.begin(), fractions.end()));
  EXPECT_EQ(fractions.back(), 1);
}

TEST_F(DomainPerplexityTest, RestOfAWindowIsLeftOut) {
  const at::Tensor matrix = measured({.num_kept = 24, .sample_tokens = 18});
  for (at::Tensor& windows : text_.windows) windows = windows.narrow(1, 0, 36);
  EXPECT_TRUE(measured({.num_kept = 24, .sample_tokens = 18}).equal(matrix));
}

TEST_F(DomainPerplexityTest, DomainThatIsTooShortIsNamed) {
  text_.windows[1] = text_.windows[1].narrow(0, 0, 1);
  EXPECT_THAT([&] { measured({.num_kept = 24, .sample_tokens = 10}); },
              testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr("domain 'd1' has 4 samples")));
  EXPECT_NO_THROW(measured({.num_kept = 24, .sample_tokens = 10, .held_out_samples = 2}));
}

}  // namespace
}  // namespace moebench
