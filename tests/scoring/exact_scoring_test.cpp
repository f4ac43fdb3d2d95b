// A request's scores do not depend on what is computed beside it, to the bit; dense and converted.
#include <numeric>
#include <random>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/model/moe_layer.h"
#include "harness/scoring/window_scorer.h"
#include "tests/model/memory_checkpoint.h"

namespace moebench {
namespace {

constexpr ScoringPlan kOneByOne{.tokens_a_pack = 1, .tokens_a_batch = 1, .fewest_shared = 0};

LlamaConfig small_config() {
  LlamaConfig config = tiny_llama_config();
  config.hidden_size = 96;
  config.intermediate_size = 208;
  config.num_attention_heads = 6;
  config.num_key_value_heads = 2;
  config.head_dim = 16;
  config.max_position_embeddings = 1024;
  return config;
}

at::Tensor random_rows(int64_t rows, int64_t columns, uint64_t seed) {
  return at::randn({rows, columns}, at::detail::createCPUGenerator(seed));
}

// Experts of uneven widths, a shared one, biases for who visits and who does not.
Conversion mixture(const LlamaConfig& config, RouterKind router) {
  Conversion conversion;
  const auto slice = [](int64_t first, int64_t end) {
    return ExpertSpec{.neurons = at::arange(first, end, at::kLong)};
  };
  for (int64_t layer = 0; layer < config.num_layers; ++layer) {
    LayerConversion mixed{.experts = {slice(0, 13), slice(13, 80), slice(80, 81), slice(81, 150)},
                          .shared = slice(150, config.intermediate_size),
                          .top_k = 2};
    mixed.experts[0].output_bias = random_rows(1, config.hidden_size, layer)[0];
    mixed.experts[1].absent_bias = random_rows(1, config.hidden_size, layer + 9)[0];
    mixed.experts[3].top_neurons = 20;
    mixed.router.kind = router;
    if (router == RouterKind::kLinear) mixed.router.tensors["weight"] = random_rows(4, config.hidden_size, layer + 5);
    if (router == RouterKind::kTanhMlp) {
      mixed.router.tensors["first"] = random_rows(4, config.hidden_size, layer + 5);
      mixed.router.tensors["second"] = random_rows(4, 4, layer + 6);
    }
    mixed.rule = {.softmax = RoutingRule::Softmax::kAfterTopK, .weights = RoutingRule::Weights::kScores, .scale = 2};
    conversion.layers.push_back(mixed);
  }
  return conversion;
}

// Few-shot prompts of one beginning, whose endings share beginnings in turn; texts of one token and of hundreds; twins.
std::vector<ScoreRequest> requests(int64_t vocab_size) {
  std::mt19937 random(3);
  const auto tokens = [&](int64_t count) {
    std::vector<int64_t> ids(count);
    for (int64_t& id : ids) id = static_cast<int64_t>(random() % vocab_size);
    return ids;
  };
  const auto join = [](std::vector<int64_t> one, const std::vector<int64_t>& other) {
    one.insert(one.end(), other.begin(), other.end());
    return one;
  };
  std::vector<ScoreRequest> requests;
  const std::vector<int64_t> shots = tokens(390);
  for (int question = 0; question < 4; ++question) {
    const std::vector<int64_t> context = join(shots, tokens(20 + 11 * question));
    for (int choice = 0; choice < 3; ++choice) {
      const std::vector<int64_t> ids = join(context, tokens(1 + 4 * choice));
      requests.push_back({ids, std::ssize(context)});
    }
  }
  for (const int64_t length : {2, 3, 16, 17, 31, 33, 64, 129, 300, 700}) {
    requests.push_back({tokens(length), length / 2});
    requests.push_back({requests.back().ids, 1});
  }
  requests.push_back(requests.front());
  return requests;
}

class ExactScoringTest : public testing::TestWithParam<std::tuple<at::ScalarType, std::string>> {
 protected:
  ExactScoringTest() {
    const auto& [dtype, kind] = GetParam();
    model_.emplace(LlamaModel::load(MemoryCheckpoint(config_), {.dtype = dtype}));
    const std::map<std::string, RouterKind> routers = {
        {"linear", RouterKind::kLinear}, {"tanh", RouterKind::kTanhMlp}, {"oracle", RouterKind::kOracle}};
    if (kind != "dense") apply_conversion(mixture(config_, routers.at(kind)), *model_);
  }

  const LlamaConfig config_ = small_config();
  std::optional<LlamaModel> model_;
  const std::vector<ScoreRequest> requests_ = requests(config_.vocab_size);
};

void expect_same_bits(const std::vector<TokenScores>& one, const std::vector<TokenScores>& other) {
  ASSERT_EQ(one.size(), other.size());
  for (size_t request = 0; request < one.size(); ++request) {
    EXPECT_EQ(one[request].logprobs, other[request].logprobs) << "request " << request;
    EXPECT_EQ(one[request].is_greedy, other[request].is_greedy) << "request " << request;
  }
}

TEST_P(ExactScoringTest, PacksBatchesAndSharedBeginningsChangeNothing) {
  const std::vector<TokenScores> expected = score(*model_, requests_, {}, kOneByOne);
  expect_same_bits(score(*model_, requests_), expected);
  expect_same_bits(score(*model_, requests_, {}, {.fewest_shared = 1}), expected);
  expect_same_bits(score(*model_, requests_, {}, {.fewest_shared = 0}), expected);
  expect_same_bits(score(*model_, requests_, {}, {.tokens_a_pack = 40, .tokens_a_batch = 900}), expected);
  expect_same_bits(score(*model_, requests_, {}, {.tokens_a_pack = 100000, .tokens_a_batch = 100000}), expected);
}

TEST_P(ExactScoringTest, TheOrderOfRequestsChangesNothing) {
  const std::vector<TokenScores> expected = score(*model_, requests_);
  std::vector<size_t> order(requests_.size());
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), std::mt19937(1));
  std::vector<ScoreRequest> shuffled;
  for (const size_t request : order) shuffled.push_back(requests_[request]);
  const std::vector<TokenScores> scores = score(*model_, shuffled);
  std::vector<TokenScores> restored(scores.size());
  for (size_t place = 0; place < order.size(); ++place) restored[order[place]] = scores[place];
  expect_same_bits(restored, expected);
}

TEST_P(ExactScoringTest, TheNumberOfThreadsChangesNothing) {
  const std::vector<TokenScores> expected = score(*model_, requests_);
  const int num_threads = at::get_num_threads();
  at::set_num_threads(1);
  const std::vector<TokenScores> alone = score(*model_, requests_);
  at::set_num_threads(num_threads);
  expect_same_bits(alone, expected);
}

TEST_P(ExactScoringTest, EveryAskedTokenIsScoredOnce) {
  const std::vector<TokenScores> scores = score(*model_, requests_);
  for (size_t request = 0; request < requests_.size(); ++request) {
    EXPECT_EQ(std::ssize(scores[request].logprobs),
              std::ssize(requests_[request].ids) - requests_[request].first_scored);
  }
}

TEST_P(ExactScoringTest, AgreesWithThePlainForwardPass) {
  const std::vector<TokenScores> scores = score(*model_, requests_);
  // Rounding flips a router's choices in bf16, and with them single tokens: there the mean has to agree.
  const bool is_exact = std::get<0>(GetParam()) == at::kFloat;
  for (size_t request = 0; request < requests_.size(); ++request) {
    const at::NoGradGuard no_grad;
    const at::Tensor ids = at::tensor(requests_[request].ids, at::kLong);
    const at::Tensor hidden = model_->forward(ids.slice(0, 0, -1).unsqueeze(0))[0];
    const TokenScores plain = score_hidden(*model_, hidden.slice(0, requests_[request].first_scored - 1),
                                           ids.slice(0, requests_[request].first_scored));
    const double tokens = static_cast<double>(plain.logprobs.size());
    EXPECT_NEAR(scores[request].sum() / tokens, plain.sum() / tokens, is_exact ? 1e-4 : 0.2) << "request " << request;
  }
}

INSTANTIATE_TEST_SUITE_P(Models, ExactScoringTest,
                         testing::Combine(testing::Values(at::kFloat, at::kBFloat16),
                                          testing::Values("dense", "linear", "tanh", "oracle")),
                         [](const auto& info) {
                           return std::string(c10::toString(std::get<0>(info.param))) + std::get<1>(info.param);
                         });

}  // namespace
}  // namespace moebench
