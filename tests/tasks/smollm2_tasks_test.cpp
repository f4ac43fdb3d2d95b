// Measurements of SmolLM2-135M against transformers' (golden/smollm2), llama.cpp's and counts by hand.
#include <cmath>
#include <cstdlib>
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
    if (read_smollm2_golden("smollm2_ppl.json").is_null()) GTEST_SKIP() << "golden/smollm2 is missing";
    tokenizer_ = Tokenizer::load(checkpoint->path());
    model_ = LlamaModel::load(*checkpoint, {});
  }

  Measurement measure(const std::string& task, nlohmann::json options) {
    options["text"] = kText.string();
    TaskContext context{*model_, *tokenizer_, nullptr, {}};
    return TaskRegistry::instance().find(task).create(options)->measure(context);
  }

  // Its README allows 1e-5 on a mean negative log-likelihood.
  Measurement expect_blocks(const std::string& golden, int64_t window, int64_t num_blocks) {
    const nlohmann::json reference = read_smollm2_golden("smollm2_ppl.json");
    const Measurement measured = measure("perplexity", {{"window", window}, {"max_windows", num_blocks}});
    EXPECT_EQ(std::ssize(measured.items), num_blocks);
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
    return measured;
  }

  static inline const std::filesystem::path kText =
      std::filesystem::path(MOEBENCH_SHARED_DIR) / "data/ppl/wikitext2/wiki.test.raw";
  std::unique_ptr<Tokenizer> tokenizer_;
  std::optional<LlamaModel> model_;
};

TEST_F(SmolLm2TasksTest, Gptq2048EqualsTransformers) { expect_blocks("gptq-2048", 2048, 4); }

TEST_F(SmolLm2TasksTest, Gptq2048OfTheWholeTextEqualsTransformers) {
  if (std::getenv("MOEBENCH_WHOLE_TEXTS") == nullptr) GTEST_SKIP() << "minutes; set MOEBENCH_WHOLE_TEXTS to run it";
  const Measurement measured = expect_blocks("gptq-2048", 2048, 148);
  EXPECT_EQ(measured.text_tokens / 2048, 148);
  EXPECT_NEAR(measured.metrics[0].value, 21.63069, 1e-4 * 21.63069);
}

TEST_F(SmolLm2TasksTest, Gptq512EqualsTransformers) {
  const Measurement measured = expect_blocks("gptq-512-first40", 512, 40);
  EXPECT_NEAR(measured.metrics[0].value, 29.18810, 1e-4 * 29.18810);
}

// What llama-perplexity (llama.cpp as in llama-cpp-python 0.3.36, -c 512, keys and values in fp32) printed after each
// window for the same weights as an F32 GGUF.
TEST_F(SmolLm2TasksTest, Llamacpp512EqualsLlamacpp) {
  const std::vector<double> printed = {12.9544, 21.3722, 22.5231, 22.7437, 22.2565, 22.4583, 23.1886, 24.4974, 25.9244};
  const Measurement measured = measure("perplexity", {{"protocol", "llamacpp"}, {"max_windows", printed.size()}});
  ASSERT_EQ(measured.items.size(), printed.size());
  double nll = 0;
  int64_t tokens = 0;
  for (size_t window = 0; window < printed.size(); ++window) {
    nll += measured.items[window].nll;
    tokens += measured.items[window].tokens;
    EXPECT_NEAR(std::exp(nll / static_cast<double>(tokens)), printed[window], 1e-4 + 2e-5 * printed[window]) << window;
  }
}

TEST_F(SmolLm2TasksTest, ParametersAreThePublishedOnes) {
  const Measurement measured = measure("activated_parameters", {{"window", 16}, {"max_windows", 1}});
  std::map<std::string, double> values;
  for (const Metric& metric : measured.metrics) values[metric.name] = metric.value;
  EXPECT_EQ(values["total_parameters"], 134515008);
  EXPECT_EQ(values["activated_parameters/ffn"], 30.0 * 3 * 576 * 1536);
}

}  // namespace
}  // namespace moebench
