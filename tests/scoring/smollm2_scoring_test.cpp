// SmolLM2-135M against transformers' outputs (golden/smollm2; tolerances from its README).
#include <cmath>
#include <optional>

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include "harness/scoring/greedy.h"
#include "harness/scoring/window_scorer.h"
#include "tests/model/smollm2.h"

namespace moebench {
namespace {

class SmolLm2Test : public testing::Test {
 protected:
  void SetUp() override {
    checkpoint_ = open_smollm2();
    if (!checkpoint_) GTEST_SKIP() << "SmolLM2-135M is missing; run scripts/fetch smollm2-135m";
    golden_ = read_smollm2_golden("smollm2_logprobs.json");
    if (golden_.is_null()) GTEST_SKIP() << "the reference outputs are missing: " << MOEBENCH_SHARED_DIR;
    model_ = LlamaModel::load(*checkpoint_, {});
  }

  const nlohmann::json& texts() const { return golden_["items"]; }

  std::unique_ptr<Checkpoint> checkpoint_;
  nlohmann::json golden_;
  std::optional<LlamaModel> model_;
  const c10::InferenceMode inference_;
};

std::vector<int64_t> ids_of(const nlohmann::json& text) { return text["ids"].get<std::vector<int64_t>>(); }

// How far scores are from the reference, over all its texts.
struct Distance {
  double largest = 0, sum = 0, largest_mean_nll = 0;
  int64_t tokens = 0, greedy_flips = 0;
};

void add_distance(const nlohmann::json& text, const TokenScores& scores, Distance& distance) {
  const std::vector<double> expected = text["logprobs"];
  ASSERT_EQ(scores.logprobs.size(), expected.size());
  for (size_t token = 0; token < expected.size(); ++token) {
    const double difference = std::abs(scores.logprobs[token] - expected[token]);
    distance.largest = std::max(distance.largest, difference);
    distance.sum += difference;
    distance.greedy_flips += scores.is_greedy[token] != (text["greedy_match"][token] == 1);
  }
  distance.tokens += std::ssize(expected);
  const double mean_nll = -scores.sum() / expected.size();
  distance.largest_mean_nll = std::max(distance.largest_mean_nll, std::abs(mean_nll - text["mean_nll"].get<double>()));
}

TEST_F(SmolLm2Test, LogprobsEqualTransformers) {
  Distance distance;
  for (const auto& text : texts()) add_distance(text, score(*model_, {{ids_of(text)}}).at(0), distance);
  EXPECT_EQ(distance.tokens, 1310);
  EXPECT_LT(distance.largest, 1e-4);
  EXPECT_LT(distance.largest_mean_nll, 1e-5);
  EXPECT_EQ(distance.greedy_flips, 0);
}

TEST_F(SmolLm2Test, LogprobsTokenByTokenFromTheCacheEqualTransformers) {
  Distance distance;
  for (const auto& text : texts()) {
    const std::vector<int64_t> ids = ids_of(text);
    if (ids.size() > 100) continue;
    KvCache cache(checkpoint_->config().num_layers);
    std::vector<at::Tensor> hidden;
    for (size_t token = 0; token + 1 < ids.size(); ++token) {
      hidden.push_back(model_->forward(at::full({1, 1}, ids[token], at::kLong), &cache)[0]);
    }
    add_distance(text, score_hidden(*model_, at::cat(hidden), at::tensor(ids).slice(0, 1)), distance);
  }
  EXPECT_LT(distance.largest, 1e-4);
  EXPECT_LT(distance.largest_mean_nll, 1e-5);
  EXPECT_EQ(distance.greedy_flips, 0);
}

TEST_F(SmolLm2Test, ResidualStreamEqualsTheReferenceAfterEveryLayer) {
  for (const auto& text : texts()) {
    if (!text.contains("hidden_l2_last_position")) continue;
    const std::vector<double> expected = text["hidden_l2_last_position"]["float64"];
    const at::Tensor ids = at::tensor(ids_of(text)).unsqueeze(0);
    std::vector<double> norms;
    at::Tensor residual = embed(*checkpoint_, ids, {});
    const auto add_norm = [&](const at::Tensor& stream) {
      norms.push_back(stream[0][-1].to(at::kDouble).norm().item<double>());
    };
    add_norm(residual);
    for (const LlamaLayer& layer : model_->layers()) add_norm(residual = layer.forward(residual));
    add_norm(model_->forward(ids));
    ASSERT_EQ(norms.size(), expected.size());
    for (size_t layer = 0; layer < norms.size(); ++layer) {
      EXPECT_NEAR(norms[layer], expected[layer], 1e-6 * expected[layer]) << "layer " << layer;
    }
    return;
  }
  FAIL() << "no text has hidden norms";
}

TEST_F(SmolLm2Test, GreedyContinuationsEqualTransformers) {
  for (const auto& text : texts()) {
    EXPECT_EQ(generate_greedily(*model_, ids_of(text), 32), text["greedy32"].get<std::vector<int64_t>>())
        << text["name"];
  }
}

TEST_F(SmolLm2Test, GreedyContinuationsWithoutACacheEqualTransformers) {
  for (const auto& text : texts()) {
    std::vector<int64_t> ids = ids_of(text);
    if (ids.size() > 20) continue;
    const std::vector<int64_t> expected = text["greedy32"];
    for (const int64_t id : expected) {
      const at::Tensor hidden = model_->forward(at::tensor(ids).unsqueeze(0));
      ASSERT_EQ(model_->logits(hidden[0][-1]).argmax().item<int64_t>(), id) << text["name"];
      ids.push_back(id);
    }
  }
}

// The reference's row was measured on a processor with AMX: 0.34 a token, 1e-2 the mean of each text. Drift depends on
// the processor: without AMX transformers itself reaches 0.41 and 2.0e-2, this model 0.23 and 1.9e-2. So tokens are
// held to the row, and the mean only over all texts, where the row has no value of its own.
TEST_F(SmolLm2Test, Bfloat16TokensStayWithinTheDriftMeasuredOnTransformers) {
  const LlamaModel model = LlamaModel::load(*checkpoint_, {.dtype = at::kBFloat16});
  Distance distance;
  double sum = 0, expected_sum = 0;
  for (const auto& text : texts()) {
    const TokenScores scores = score(model, {{ids_of(text)}}).at(0);
    add_distance(text, scores, distance);
    sum += scores.sum();
    expected_sum += text["sum_logprob"].get<double>();
  }
  EXPECT_LT(distance.largest, 0.34);
  EXPECT_LT(distance.sum / distance.tokens, 0.0384);
  EXPECT_NEAR(sum / distance.tokens, expected_sum / distance.tokens, 1e-2);
}

TEST_F(SmolLm2Test, PerplexityBlocksOf2048EqualTransformers) {
  const nlohmann::json golden = read_smollm2_golden("smollm2_ppl.json");
  const auto blocks = read_wikitext2_blocks(2048, 2);
  if (golden.is_null() || blocks.empty()) GTEST_SKIP() << "the reference perplexities are missing";
  for (size_t block = 0; block < blocks.size(); ++block) {
    const double mean_nll = -score(*model_, {{blocks[block]}}).at(0).sum() / 2047;
    EXPECT_NEAR(mean_nll, golden["gptq-2048"]["block_mean_nll"][block].get<double>(), 1e-5);
  }
}

TEST_F(SmolLm2Test, PerplexityBlocksOf512EqualTransformers) {
  const nlohmann::json golden = read_smollm2_golden("smollm2_ppl.json");
  const auto blocks = read_wikitext2_blocks(512, 8);
  if (golden.is_null() || blocks.empty()) GTEST_SKIP() << "the reference perplexities are missing";
  for (size_t block = 0; block < blocks.size(); ++block) {
    const double mean_nll = -score(*model_, {{blocks[block]}}).at(0).sum() / 511;
    EXPECT_NEAR(mean_nll, golden["gptq-512-first40"]["block_mean_nll"][block].get<double>(), 1e-5);
  }
}

}  // namespace
}  // namespace moebench
