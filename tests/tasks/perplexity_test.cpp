#include <cmath>

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "harness/checkpoint/safetensors.h"
#include "tests/tasks/perplexity_fixture.h"

namespace moebench {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class PerplexityTest : public PerplexityFixture {
 protected:
  // -log p of the text's token `position` given [begin, position).
  double negative_log_likelihood(int64_t begin, int64_t position) const {
    const std::vector<int32_t> ids = this->ids();
    return PerplexityFixture::negative_log_likelihood({ids.begin() + begin, ids.begin() + position},
                                                      ids[static_cast<size_t>(position)]);
  }
};

// Without embeddings, and the head tied to them, every logit is zero.
class UniformModelTest : public PerplexityTest {
 protected:
  void SetUp() override {
    PerplexityTest::SetUp();
    const auto checkpoint = open_checkpoint(model_path_);
    std::map<std::string, at::Tensor> tensors;
    for (const std::string& name : checkpoint->names()) tensors[name] = checkpoint->load(name, at::kFloat);
    tensors["model.embed_tokens.weight"].zero_();
    write_safetensors(model_path_ / "model.safetensors", tensors, {});
    load_model();
  }
};

TEST_F(UniformModelTest, PerplexityIsTheVocabularySize) {
  for (const char* protocol : {"gptq", "strided", "llamacpp"}) {
    const Measurement measured = measure("perplexity", options({{"protocol", protocol}, {"stride", 5}}));
    EXPECT_NEAR(measured.metrics[0].value, 264, 1e-9);
    EXPECT_NEAR(measured.metrics[1].value, std::log(264), 1e-12);
    EXPECT_NEAR(measured.metrics[1].standard_error.value(), 0, 1e-12);
  }
}

TEST_F(PerplexityTest, GptqIsTheMeanOfWindowMeans) {
  const Measurement measured = measure("perplexity", options({{"max_windows", 3}}));
  std::vector<double> means;
  for (int64_t begin = 0; begin < 48; begin += 16) {
    double sum = 0;
    for (int64_t position = begin + 1; position < begin + 16; ++position)
      sum += negative_log_likelihood(begin, position);
    means.push_back(sum / 15);
  }
  const double mean = (means[0] + means[1] + means[2]) / 3;
  double squares = 0;
  for (const double each : means) squares += (each - mean) * (each - mean);
  const double error = std::sqrt(squares / 2 / 3);
  EXPECT_NEAR(value(measured, "sample/gptq-16/nll"), mean, 1e-5);
  EXPECT_NEAR(value(measured, "sample/gptq-16/ppl"), std::exp(mean), std::exp(mean) * 1e-5);
  EXPECT_NEAR(measured.metrics[1].standard_error.value(), error, 1e-5);
  EXPECT_NEAR(measured.metrics[0].standard_error.value(), error * std::exp(mean), std::exp(mean) * 1e-5);
  EXPECT_EQ(measured.metrics[0].n, 3);
}

TEST_F(PerplexityTest, StridedScoresEveryTokenButTheFirstOnceWithItsHistory) {
  write_text("quick brown foxes jump over a dog");
  ASSERT_EQ(ids().size(), 33u);
  const Measurement measured = measure("perplexity", options({{"protocol", "strided"}, {"stride", 6}}));
  double sum = 0;
  for (int64_t position = 1; position < 33; ++position) {
    // The first window reaches to 16; each later one six tokens further, with up to 16 tokens in it.
    const int64_t begin = position < 16 ? 0 : ((position - 16) / 6 + 1) * 6;
    sum += negative_log_likelihood(begin, position);
  }
  EXPECT_NEAR(value(measured, "sample/strided-16-6/nll"), sum / 32, 1e-5);
  int64_t tokens = 0;
  for (const Item& item : measured.items) tokens += item.tokens;
  EXPECT_EQ(tokens, 32);
}

TEST_F(PerplexityTest, KeepsTheSumOfEachWindow) {
  const Measurement measured = measure("perplexity", options({{"max_windows", 2}}));
  std::vector<std::string> ids;
  double nll = 0, tokens = 0;
  for (const Item& item : measured.items) {
    ids.push_back(item.id);
    EXPECT_EQ(item.task, "sample/gptq-16");
    nll += item.nll;
    tokens += static_cast<double>(item.tokens);
  }
  EXPECT_THAT(ids, ElementsAre("0", "1"));
  EXPECT_DOUBLE_EQ(nll / tokens, value(measured, "sample/gptq-16/nll"));
}

TEST_F(PerplexityTest, OneWindowHasNoStandardError) {
  const Measurement measured = measure("perplexity", options({{"max_windows", 1}}));
  EXPECT_EQ(measured.metrics[0].standard_error, std::nullopt);
}

TEST_F(PerplexityTest, RefusesATextShorterThanAWindow) {
  write_text("short");
  EXPECT_THAT(refusal(), HasSubstr("the text has 5 tokens, fewer than one window of 16"));
}

TEST_F(PerplexityTest, RefusesAWindowLongerThanTheModel) {
  EXPECT_THAT(refusal({{"window", 97}}), HasSubstr("window 97 is longer than the model's 96 positions"));
}

TEST_F(PerplexityTest, RefusesAStrideThatSkipsTokensOnCreation) {
  const auto create = [&](int64_t stride, const char* protocol) {
    return [=, this] {
      TaskRegistry::instance().find("perplexity").create(options({{"protocol", protocol}, {"stride", stride}}));
    };
  };
  for (const int64_t stride : {-1, 0, 17}) {
    EXPECT_THAT(create(stride, "strided"),
                testing::ThrowsMessage<std::invalid_argument>(HasSubstr("option 'stride' must be 1 to window = 16")));
  }
  EXPECT_NO_THROW(create(16, "strided")());
  EXPECT_NO_THROW(create(512, "gptq")()) << "which has none";
}

TEST_F(PerplexityTest, RefusesTextThatIsNotUtf8OrEmpty) {
  write_text("caf\xE9");
  EXPECT_THAT(refusal(), HasSubstr("UTF-8"));
  write_text("");
  EXPECT_THAT(refusal(), HasSubstr("sample.txt"));
}

}  // namespace
}  // namespace moebench
