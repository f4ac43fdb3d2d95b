#include "harness/scoring/window_scorer.h"

#include <stdexcept>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/model/double_llama.h"
#include "tests/model/memory_checkpoint.h"

namespace moebench {
namespace {

std::vector<int64_t> random_ids(int64_t num_tokens, int64_t vocab_size) {
  const at::Tensor ids = at::randint(vocab_size, num_tokens, at::detail::createCPUGenerator(5), at::kLong);
  return {ids.data_ptr<int64_t>(), ids.data_ptr<int64_t>() + num_tokens};
}

class WindowScorerTest : public testing::Test {
 protected:
  const MemoryCheckpoint checkpoint_{tiny_llama_config()};
  const LlamaModel model_ = LlamaModel::load(checkpoint_, {});
  const std::vector<int64_t> ids_ = random_ids(40, 67);
};

TEST_F(WindowScorerTest, LogprobsEqualTheDefinitionInDouble) {
  const TokenScores scores = score(model_, {{ids_}}).at(0);
  const std::vector<Vector> logits = double_llama_logits(checkpoint_, ids_);
  ASSERT_EQ(scores.logprobs.size(), 39u);
  double sum = 0;
  for (size_t token = 1; token < 40; ++token) {
    const at::Tensor logprobs = at::tensor(logits[token - 1], at::kDouble).log_softmax(0);
    const double expected = logprobs[ids_[token]].item<double>();
    EXPECT_NEAR(scores.logprobs[token - 1], expected, 1e-5);
    EXPECT_EQ(scores.is_greedy[token - 1], logprobs.argmax().item<int64_t>() == ids_[token]);
    sum += expected;
  }
  EXPECT_NEAR(scores.sum(), sum, 1e-4);
}

TEST_F(WindowScorerTest, OnlyTheTokensFromFirstScoredOnAreScored) {
  const TokenScores all = score(model_, {{ids_}}).at(0);
  const TokenScores tail = score(model_, {{ids_, 31}}).at(0);
  ASSERT_EQ(tail.logprobs.size(), 9u);
  for (size_t token = 0; token < 9; ++token) EXPECT_NEAR(tail.logprobs[token], all.logprobs[token + 30], 1e-5);
}

TEST_F(WindowScorerTest, RequestsDoNotChangeOneAnother) {
  std::vector<ScoreRequest> requests;
  for (const int64_t length : {2, 40, 7, 23}) requests.push_back({{ids_.begin(), ids_.begin() + length}, length / 2});
  const std::vector<TokenScores> together = score(model_, requests);
  for (size_t request = 0; request < requests.size(); ++request) {
    EXPECT_EQ(together[request].logprobs, score(model_, {requests[request]}).at(0).logprobs);
  }
}

TEST_F(WindowScorerTest, AModelThatGivesNotANumberIsRefused) {
  MemoryCheckpoint checkpoint(tiny_llama_config());
  checkpoint.tensor("model.layers.1.mlp.down_proj.weight").fill_(1e38);
  const LlamaModel model = LlamaModel::load(checkpoint, {});
  EXPECT_THAT([&] { score(model, {{ids_}}); },
              testing::ThrowsMessage<std::runtime_error>(testing::HasSubstr("not a number")));
}

TEST_F(WindowScorerTest, ProgressCountsEveryToken) {
  std::vector<int64_t> done;
  const auto note = [&](const ScoringProgress& progress) {
    EXPECT_EQ(progress.tokens_total, 43);
    done.push_back(progress.tokens_done);
  };
  score(model_, {{ids_}, {{1, 2, 3}}}, note, {.tokens_a_batch = 1});
  EXPECT_THAT(done, testing::UnorderedElementsAre(testing::AnyOf(3, 40), 43));
}

TEST_F(WindowScorerTest, RefusesWhatCannotBeScored) {
  EXPECT_THROW(score(model_, {{{}}}), std::invalid_argument);
  EXPECT_THROW(score(model_, {{{3}}}), std::invalid_argument);
  EXPECT_THROW(score(model_, {{{3, 4}, 0}}), std::invalid_argument);
  EXPECT_THROW(score(model_, {{{3, 4}, 2}}), std::invalid_argument);
  EXPECT_THROW(score(model_, {{{3, 67}}}), std::invalid_argument);
  EXPECT_THROW(score(model_, {{{-1, 3}}}), std::invalid_argument);
}

TEST(ScoreHiddenTest, LargeVocabulariesAreScoredInChunks) {
  LlamaConfig config = tiny_llama_config();
  config.vocab_size = 150001;  // 32 MB hold 55 rows of it
  const LlamaModel model = LlamaModel::load(MemoryCheckpoint(config), {});
  const at::Tensor hidden = at::randn({130, config.hidden_size}, at::detail::createCPUGenerator(1));
  const at::Tensor targets = at::arange(130) * 1100;
  const TokenScores scores = score_hidden(model, hidden, targets);
  const at::Tensor expected =
      model.logits(hidden).to(at::kDouble).log_softmax(-1).gather(1, targets.unsqueeze(1)).squeeze(1);
  ASSERT_EQ(scores.logprobs.size(), 130u);
  EXPECT_LT((at::tensor(scores.logprobs, at::kDouble) - expected).abs().max().item<double>(), 2e-6);
}

}  // namespace
}  // namespace moebench
