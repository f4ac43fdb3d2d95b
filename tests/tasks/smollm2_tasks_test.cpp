// Measurements of SmolLM2-135M against transformers' (golden/smollm2) and against counts by hand.
#include <cmath>
#include <filesystem>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/task.h"
#include "tests/model/smollm2.h"

namespace moebench {
namespace {

class SmolLm2TasksTest : public testing::Test {
 protected:
  void SetUp() override {
    const std::unique_ptr<Checkpoint> checkpoint = open_smollm2();
    if (checkpoint == nullptr) GTEST_SKIP() << "SmolLM2-135M is missing; run scripts/fetch smollm2-135m";
    if (!std::filesystem::exists(kText)) GTEST_SKIP() << kText << " is missing";
    tokenizer_ = Tokenizer::load(checkpoint->path());
    model_ = LlamaModel::load(*checkpoint, {});
  }

  Measurement measure(const std::string& task, nlohmann::json options) {
    options["text"] = kText.string();
    TaskContext context{*model_, *tokenizer_, nullptr, {}};
    return TaskRegistry::instance().find(task).create(options)->measure(context);
  }

  // Its README allows 1e-5 on a mean negative log-likelihood.
  void expect_blocks(const std::string& golden, int64_t window, int64_t num_blocks) {
    const nlohmann::json reference = read_smollm2_golden("smollm2_ppl.json");
    if (reference.is_null()) GTEST_SKIP() << "golden/smollm2 is missing";
    const Measurement measured = measure("perplexity", {{"window", window}, {"max_windows", num_blocks}});
    ASSERT_EQ(static_cast<int64_t>(measured.items.size()), num_blocks);
    double mean = 0;
    for (size_t block = 0; block < measured.items.size(); ++block) {
      const Item& item = measured.items[block];
      const double expected = reference.at(golden).at("block_mean_nll").at(block);
      EXPECT_EQ(item.tokens, window - 1);
      EXPECT_NEAR(item.nll / static_cast<double>(item.tokens), expected, 1e-5) << "block " << block;
      mean += expected / static_cast<double>(num_blocks);
    }
    EXPECT_EQ(measured.metrics[0].name, "wiki.test/gptq-" + std::to_string(window) + "/ppl");
    EXPECT_NEAR(measured.metrics[0].value, std::exp(mean), 2e-5 * std::exp(mean));
  }

  static inline const std::filesystem::path kText =
      std::filesystem::path(MOEBENCH_SHARED_DIR) / "data/ppl/wikitext2/wiki.test.raw";
  std::unique_ptr<Tokenizer> tokenizer_;
  std::optional<LlamaModel> model_;
};

TEST_F(SmolLm2TasksTest, Gptq2048EqualsTransformers) { expect_blocks("gptq-2048", 2048, 2); }

TEST_F(SmolLm2TasksTest, Gptq512EqualsTransformers) { expect_blocks("gptq-512-first40", 512, 4); }

TEST_F(SmolLm2TasksTest, ParametersAreThePublishedOnes) {
  const Measurement measured = measure("activated_parameters", {{"window", 16}, {"max_windows", 1}});
  std::map<std::string, double> values;
  for (const Metric& metric : measured.metrics) values[metric.name] = metric.value;
  EXPECT_EQ(values["total_parameters"], 134515008);
  EXPECT_EQ(values["activated_parameters/ffn"], 30.0 * 3 * 576 * 1536);
}

}  // namespace
}  // namespace moebench
