#include "harness/model/moe_layer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/model/masked_moe.h"
#include "tests/model/memory_checkpoint.h"

namespace moebench {
namespace {

constexpr int64_t kHidden = 16, kNeurons = 24, kExperts = 4, kTokens = 50;

class MoeLayerTest : public testing::Test {
 protected:
  at::Tensor random(at::IntArrayRef sizes) { return at::randn(sizes, generator_); }

  // Neurons dealt out like cards, num_hands hands.
  static std::vector<ExpertSpec> deal(int64_t num_hands) {
    std::vector<ExpertSpec> hands;
    for (int64_t hand = 0; hand < num_hands; ++hand) {
      hands.push_back({.neurons = at::arange(hand, kNeurons, num_hands, at::kLong)});
    }
    return hands;
  }

  LayerConversion linear_conversion(int64_t top_k) {
    LayerConversion conversion{.experts = deal(kExperts), .top_k = top_k};
    conversion.router = {RouterKind::kLinear, {{"weight", random({kExperts, kHidden})}}};
    return conversion;
  }

  // Of either face of the layer, the kernel and the operators.
  double distance(const LayerConversion& conversion, const at::Tensor& hidden, const at::Tensor& expected) {
    const MoeLayer layer(dense_, conversion);
    return std::max(distance(layer.forward(hidden), expected), distance(layer.forward_by_operators(hidden), expected));
  }

  double distance(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<double>(); }

  at::Generator generator_ = at::detail::createCPUGenerator(3);
  const GatedMlpWeights dense_{random({kNeurons, kHidden}) / 4, random({kNeurons, kHidden}) / 4,
                               random({kHidden, kNeurons}) / 5};
  const at::Tensor hidden_ = random({kTokens, kHidden});
};

TEST_F(MoeLayerTest, AllExpertsOnWithWeightOneEqualDense) {
  LayerConversion conversion = linear_conversion(kExperts);
  EXPECT_LT(distance(conversion, hidden_, GatedMlp(dense_).forward_by_operators(hidden_)), 1e-5);
  conversion.shared = conversion.experts.back();
  conversion.experts.pop_back();
  conversion.router.tensors["weight"] = random({kExperts - 1, kHidden});
  conversion.top_k = kExperts - 1;
  EXPECT_LT(distance(conversion, hidden_, GatedMlp(dense_).forward_by_operators(hidden_)), 1e-5);
}

TEST_F(MoeLayerTest, DenseNetworkIsTheSameByKernelAndByOperators) {
  const GatedMlp dense(dense_);
  EXPECT_LT(distance(dense.forward(hidden_), dense.forward_by_operators(hidden_)), 1e-5);
  const at::Tensor first = dense.forward(hidden_.narrow(0, 7, 1));
  EXPECT_TRUE(first.equal(dense.forward(hidden_).narrow(0, 7, 1))) << "a row depends on what is beside it";
}

TEST_F(MoeLayerTest, EveryRouterAndRuleEqualsTheMaskedDefinition) {
  const at::Tensor first = random({kExperts, kHidden}) / 4, second = random({kExperts, kHidden}) / 4;
  const std::vector<RouterSpec> routers = {
      {RouterKind::kLinear, {{"weight", first}, {"bias", random({kExperts})}}},
      {RouterKind::kGatedRows, {{"gate", first}, {"up", second}}},
      {RouterKind::kTanhMlp, {{"first", first}, {"second", random({kExperts, kExperts})}}},
      {RouterKind::kQuadratic, {{"weight", first}, {"square", second}, {"bias", random({kExperts})}}},
      {RouterKind::kOracle, {}}};
  const at::Tensor hidden = hidden_.narrow(0, 0, 12);
  using enum RoutingRule::Softmax;
  using enum RoutingRule::Weights;
  for (const RouterSpec& router : routers) {
    for (const auto softmax : {kNone, kBeforeTopK, kAfterTopK}) {
      for (const auto weights : {kUnit, kScores, kOnePlusScaledScores}) {
        for (const int64_t top_k : {1, 2, 4}) {
          LayerConversion conversion{.experts = deal(kExperts), .router = router, .top_k = top_k};
          conversion.rule = {.softmax = softmax, .weights = weights, .scale = 1.5};
          conversion.rule.selection_bias = 0.1 * random({kExperts});
          conversion.rule.expert_scale = random({kExperts});
          conversion.shared = ExpertSpec{.neurons = at::arange(3, 9, at::kLong), .output_bias = random({kHidden})};
          conversion.experts[1].down_proj = random({kHidden, kNeurons / kExperts}) / 5;
          const at::Tensor expected = masked_moe(dense_, conversion, hidden);
          EXPECT_LT(distance(conversion, hidden, expected), 1e-5)
              << "router " << int(router.kind) << " softmax " << int(softmax) << " weights " << int(weights)
              << " top_k " << top_k;
        }
      }
    }
  }
}

TEST_F(MoeLayerTest, AdaptiveVisitsEqualTheMaskedDefinition) {
  using enum RoutingRule::Softmax;
  for (const auto visits : {RoutingRule::Visits::kCumulativeMass, RoutingRule::Visits::kThreshold}) {
    for (const auto softmax : {kNone, kBeforeTopK, kAfterTopK}) {
      for (const double level : {0.3, 0.6, 0.9, 1.0}) {
        LayerConversion conversion = linear_conversion(3);
        conversion.mean_visits = 2;
        conversion.rule.softmax = softmax;
        conversion.rule.visits = visits;
        conversion.rule.level = level;
        conversion.experts[1].absent_bias = random({kHidden});
        EXPECT_LT(distance(conversion, hidden_, masked_moe(dense_, conversion, hidden_)), 1e-5)
            << "visits " << int(visits) << " softmax " << int(softmax) << " level " << level;
      }
    }
  }
}

TEST_F(MoeLayerTest, WholeMassVisitsAllAndNoExpertIsVisitedBelowAHigherThreshold) {
  LayerConversion conversion = linear_conversion(kExperts);
  conversion.mean_visits = 2;
  conversion.rule.visits = RoutingRule::Visits::kThreshold;
  int64_t more = kTokens * kExperts;
  for (const double level : {1e-9, 0.2, 0.5, 0.8, 1.0}) {
    conversion.rule.level = level;
    const int64_t visited = MoeLayer(dense_, conversion).route(hidden_).visited.sum().item<int64_t>();
    EXPECT_LE(visited, more) << level;
    more = visited;
  }
  EXPECT_EQ(more, kTokens) << "level 1 leaves each token its best expert";
  conversion.rule.visits = RoutingRule::Visits::kCumulativeMass;
  EXPECT_EQ(MoeLayer(dense_, conversion).route(hidden_).visited.sum().item<int64_t>(), kTokens * kExperts);
}

TEST_F(MoeLayerTest, TopNeuronsKeepsTheLargestActivationsOfEachToken) {
  LayerConversion conversion;
  conversion.shared = ExpertSpec{.neurons = at::arange(kNeurons, at::kLong), .top_neurons = 7};
  const MoeLayer layer(dense_, conversion);
  EXPECT_LT(distance(conversion, hidden_, masked_moe(dense_, conversion, hidden_)), 1e-5);
  EXPECT_EQ(layer.shared_active_neurons(), 7);
  EXPECT_EQ(layer.always_active_parameters(), 3 * 7 * kHidden);
  EXPECT_EQ(layer.always_active_parameters() + layer.idle_parameters(), 3 * kNeurons * kHidden);
}

TEST_F(MoeLayerTest, LowRankUpdatesAreAddedToTheCutWeights) {
  LayerConversion plain = linear_conversion(2), changed = plain;
  const at::Tensor neurons = plain.experts[2].neurons;
  const int64_t width = neurons.numel();
  const LowRankUpdate gate{random({3, kHidden}), random({width, 3})}, down{random({1, width}), random({kHidden, 1})};
  plain.experts[2].own_weights = {dense_.gate_proj.index_select(0, neurons) + gate.b.matmul(gate.a),
                                  dense_.up_proj.index_select(0, neurons),
                                  dense_.down_proj.index_select(1, neurons) + down.b.matmul(down.a)};
  changed.experts[2].updates = {.gate_proj = gate, .down_proj = down};
  EXPECT_LT(distance(MoeLayer(dense_, changed).forward(hidden_), MoeLayer(dense_, plain).forward(hidden_)), 1e-5);
}

TEST_F(MoeLayerTest, ExpertsOfDifferentWidthsMayOverlap) {
  LayerConversion conversion = linear_conversion(2);
  conversion.experts[0].neurons = at::arange(0, 11, at::kLong);
  conversion.experts[2].neurons = at::arange(23, 24, at::kLong);
  const MoeLayer layer(dense_, conversion);
  EXPECT_LT(distance(conversion, hidden_, masked_moe(dense_, conversion, hidden_)), 1e-5);
  EXPECT_EQ(layer.expert_intermediate_size(0), 11);
  EXPECT_EQ(layer.expert_intermediate_size(2), 1);
}

TEST_F(MoeLayerTest, AbsentBiasStandsWhereTheExpertIsNotVisited) {
  LayerConversion conversion = linear_conversion(2);
  conversion.experts[3].absent_bias = random({kHidden});
  conversion.experts[0].absent_bias = random({kHidden});
  EXPECT_LT(distance(MoeLayer(dense_, conversion).forward(hidden_), masked_moe(dense_, conversion, hidden_)), 1e-5);
}

TEST_F(MoeLayerTest, ExpertWithOwnWeightsIgnoresTheDenseOnes) {
  LayerConversion conversion = linear_conversion(kExperts);
  LayerConversion own = conversion;
  for (ExpertSpec& expert : own.experts) {
    expert.own_weights = {dense_.gate_proj.index_select(0, expert.neurons),
                          dense_.up_proj.index_select(0, expert.neurons),
                          dense_.down_proj.index_select(1, expert.neurons)};
    expert.neurons = at::Tensor();
  }
  const at::Tensor expected = MoeLayer(dense_, conversion).forward(hidden_);
  const GatedMlpWeights other{random({kNeurons, kHidden}), random({kNeurons, kHidden}), random({kHidden, kNeurons})};
  EXPECT_TRUE(MoeLayer(other, own).forward(hidden_).equal(expected));
}

TEST_F(MoeLayerTest, ExpertThatNobodyVisitsContributesNothing) {
  LayerConversion conversion = linear_conversion(2);
  at::Tensor bias = at::zeros({kExperts});
  bias[1] = -1e6;
  conversion.router.tensors["bias"] = bias;
  conversion.experts[1].down_proj = at::full({kHidden, kNeurons / kExperts}, std::numeric_limits<float>::quiet_NaN());
  EXPECT_TRUE(MoeLayer(dense_, conversion).forward(hidden_).isfinite().all().item<bool>());
}

TEST_F(MoeLayerTest, EqualScoresChooseTheLowerIndex) {
  LayerConversion conversion = linear_conversion(2);
  conversion.router.tensors["weight"] = at::zeros({kExperts, kHidden});
  const Routing routing = MoeLayer(dense_, conversion).route(hidden_);
  EXPECT_TRUE(routing.experts.equal(at::tensor({0, 1}, at::kLong).expand({kTokens, 2})));
}

// Router scores that differ in the logits but whose softmax in fp32 is one number: the published code, which takes
// top-k of the softmax, sees a tie.
TEST_F(MoeLayerTest, TopKIsTakenOnTheSoftmaxNotOnTheLogits) {
  RoutingRule rule{.softmax = RoutingRule::Softmax::kBeforeTopK};
  const at::Tensor logits = at::tensor({0.1f, std::nextafter(0.1f, 1.0f), 0.0f}).unsqueeze(0);
  ASSERT_TRUE(logits.softmax(-1)[0][0].equal(logits.softmax(-1)[0][1]));
  EXPECT_EQ(choose_experts(logits, RouterKind::kGatedRows, rule, 1).experts.item<int64_t>(), 0);
  rule.softmax = RoutingRule::Softmax::kNone;
  EXPECT_EQ(choose_experts(logits, RouterKind::kGatedRows, rule, 1).experts.item<int64_t>(), 1);
}

TEST_F(MoeLayerTest, SelectionBiasChoosesButDoesNotWeigh) {
  RoutingRule rule{.weights = RoutingRule::Weights::kScores, .selection_bias = at::tensor({0.0f, 5.0f})};
  const Routing routing = choose_experts(at::tensor({2.0f, 1.0f}).unsqueeze(0), RouterKind::kLinear, rule, 1);
  EXPECT_EQ(routing.experts.item<int64_t>(), 1);
  EXPECT_EQ(routing.weights.item<float>(), 1.0f);
}

TEST_F(MoeLayerTest, OracleSeesThroughNormsWhoseSoftmaxSaturates) {
  RoutingRule rule{.softmax = RoutingRule::Softmax::kBeforeTopK};
  const at::Tensor norms = at::tensor({1.0f, 300.0f, 2.0f, 150.0f}).unsqueeze(0);
  const Routing routing = choose_experts(norms, RouterKind::kOracle, rule, 3);
  EXPECT_TRUE(routing.experts[0].equal(at::tensor({1, 3, 2}, at::kLong)));
}

TEST_F(MoeLayerTest, SameInputGivesTheSameBits) {
  const MoeLayer layer(dense_, linear_conversion(2));
  EXPECT_TRUE(layer.forward(hidden_).equal(layer.forward(hidden_)));
}

TEST_F(MoeLayerTest, ObserverSeesTheRoutingOfEveryForward) {
  const MoeLayer layer(dense_, linear_conversion(2));
  std::vector<at::Tensor> seen;
  layer.observe_routing([&](const at::Tensor&, const Routing& routing) { seen.push_back(routing.experts); });
  layer.forward(hidden_);
  layer.forward(hidden_.narrow(0, 0, 3));
  layer.observe_routing(nullptr);
  layer.forward(hidden_);
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_TRUE(seen[0].equal(layer.route(hidden_).experts));
  EXPECT_EQ(seen[1].size(0), 3);
}

TEST_F(MoeLayerTest, ObserverSeesTheSameRoutingOfTheKernelAsOfTheOperators) {
  LayerConversion conversion = linear_conversion(3);
  conversion.mean_visits = 2;
  conversion.rule = {.softmax = RoutingRule::Softmax::kBeforeTopK,
                     .weights = RoutingRule::Weights::kScores,
                     .visits = RoutingRule::Visits::kThreshold,
                     .level = 0.5};
  const MoeLayer layer(dense_, conversion);
  std::vector<Routing> seen;
  layer.observe_routing([&](const at::Tensor&, const Routing& routing) { seen.push_back(routing); });
  layer.forward(hidden_);
  layer.forward_by_operators(hidden_);
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_TRUE(seen[0].experts.equal(seen[1].experts));
  EXPECT_TRUE(seen[0].visited.equal(seen[1].visited));
  EXPECT_LT(distance(seen[0].weights, seen[1].weights), 1e-6);
}

TEST_F(MoeLayerTest, GradientOfHiddenEqualsTheMaskedLayers) {
  LayerConversion conversion = linear_conversion(2);
  conversion.rule = {.softmax = RoutingRule::Softmax::kAfterTopK, .weights = RoutingRule::Weights::kScores};
  const at::Tensor direction = random({kTokens, kHidden});
  const at::Tensor grouped = hidden_.clone().requires_grad_(true);
  const MoeLayer layer(dense_, conversion);
  (layer.forward(grouped) * direction).sum().backward();

  const at::Tensor masked = hidden_.clone().requires_grad_(true);
  const Routing routing = layer.route(masked);
  const at::Tensor weights_TE = at::zeros({kTokens, kExperts}).scatter(1, routing.experts, routing.weights);
  at::Tensor output = at::zeros_like(masked);
  for (int64_t expert = 0; expert < kExperts; ++expert) {
    const at::Tensor neurons = conversion.experts[expert].neurons;
    const at::Tensor h = at::silu(at::linear(masked, dense_.gate_proj.index_select(0, neurons))) *
                         at::linear(masked, dense_.up_proj.index_select(0, neurons));
    output =
        output + weights_TE.select(1, expert).unsqueeze(1) * at::linear(h, dense_.down_proj.index_select(1, neurons));
  }
  (output * direction).sum().backward();
  EXPECT_LT(distance(grouped.grad(), masked.grad()), 2e-5);
  EXPECT_GT(grouped.grad().abs().max().item<double>(), 1e-2);
}

TEST_F(MoeLayerTest, BrainFloatStaysNearSinglePrecision) {
  const LayerConversion conversion = linear_conversion(kExperts);
  const GatedMlpWeights dense{dense_.gate_proj.to(at::kBFloat16), dense_.up_proj.to(at::kBFloat16),
                              dense_.down_proj.to(at::kBFloat16)};
  const at::Tensor output = MoeLayer(dense, conversion).forward(hidden_.to(at::kBFloat16));
  EXPECT_EQ(output.scalar_type(), at::kBFloat16);
  const at::Tensor expected = MoeLayer(dense_, conversion).forward(hidden_);
  EXPECT_LT(distance(output.to(at::kFloat), expected), 0.03 * expected.abs().max().item<double>());
}

TEST_F(MoeLayerTest, StaticLayerIsItsSharedExpert) {
  LayerConversion conversion;
  conversion.shared = ExpertSpec{.neurons = at::arange(0, kNeurons, 2, at::kLong), .output_bias = random({kHidden})};
  const MoeLayer layer(dense_, conversion);
  EXPECT_LT(distance(conversion, hidden_, masked_moe(dense_, conversion, hidden_)), 1e-5);
  EXPECT_EQ(layer.route(hidden_).experts.sizes(), (at::IntArrayRef{kTokens, 0}));
  EXPECT_EQ(layer.num_experts(), 0);
}

TEST_F(MoeLayerTest, ParametersAreCountedAsByHand) {
  LayerConversion conversion = linear_conversion(2);
  conversion.shared = ExpertSpec{.neurons = at::arange(5, at::kLong), .output_bias = random({kHidden})};
  conversion.experts[0].output_bias = random({kHidden});
  conversion.experts[2].absent_bias = random({kHidden});
  const MoeLayer layer(dense_, conversion);
  EXPECT_EQ(layer.num_experts(), 4);
  EXPECT_EQ(layer.shared_active_neurons(), 5);
  EXPECT_EQ(layer.router_parameters(), 4 * 16);
  EXPECT_EQ(layer.always_active_parameters(), 3 * 5 * 16 + 16 + 4 * 16 + 16);
  EXPECT_EQ(layer.expert_parameters(0), 3 * 6 * 16 + 16);
  EXPECT_EQ(layer.expert_parameters(1), 3 * 6 * 16);
}

TEST_F(MoeLayerTest, RefusesAConversionOfAnotherLayer) {
  LayerConversion conversion = linear_conversion(2);
  conversion.experts[3].neurons = at::tensor({int64_t{1}, kNeurons}, at::kLong);
  EXPECT_THAT([&] { MoeLayer(dense_, conversion); }, testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr(
                                                         "experts.3.neurons holds neuron 24 but the layer has 24")));
  conversion = linear_conversion(2);
  conversion.router.tensors["weight"] = random({kExperts, kHidden + 1});
  EXPECT_THAT([&] { MoeLayer(dense_, conversion); },
              testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr("router.weight has the wrong shape")));
  EXPECT_THROW(MoeLayer(dense_, LayerConversion{.keep_dense = true}), std::invalid_argument);
}

class ApplyConversionTest : public testing::Test {
 protected:
  ApplyConversionTest() {
    LayerConversion half;
    half.shared = ExpertSpec{.neurons = at::arange(0, 48, 2, at::kLong)};
    conversion_.layers = {half, {.keep_dense = true}};
  }

  LlamaModel model_ = LlamaModel::load(MemoryCheckpoint(tiny_llama_config()), {});
  Conversion conversion_;
};

TEST_F(ApplyConversionTest, ReplacesTheLayersThatAreNotKeptDense) {
  apply_conversion(conversion_, model_);
  EXPECT_NE(dynamic_cast<const MoeLayer*>(&model_.layers()[0].feed_forward()), nullptr);
  EXPECT_NE(dynamic_cast<const GatedMlp*>(&model_.layers()[1].feed_forward()), nullptr);
}

TEST_F(ApplyConversionTest, RetrainedWeightsComeIntoTheModelAndNoOther) {
  const LlamaModel parent = model_;
  const at::Tensor ids = at::arange(20, at::kLong).unsqueeze(0);
  const at::Tensor before = parent.forward(ids);
  MemoryCheckpoint checkpoint(tiny_llama_config());
  conversion_.layers.assign(2, {.keep_dense = true});
  for (const char* name : {"model.layers.1.input_layernorm.weight", "model.norm.weight", "model.embed_tokens.weight",
                           "model.layers.0.self_attn.k_proj.weight", "model.layers.1.mlp.up_proj.weight"}) {
    at::Tensor& tensor = checkpoint.tensor(name);
    tensor = tensor + at::randn(tensor.sizes()) / 10;
    conversion_.model_tensors[name] = tensor;
  }
  for (const char* name : {"model.layers.1.self_attn.q_proj.weight", "model.layers.0.self_attn.v_proj.weight",
                           "model.layers.0.self_attn.o_proj.weight", "model.layers.0.mlp.down_proj.weight"}) {
    at::Tensor& tensor = checkpoint.tensor(name);
    const LowRankUpdate update{at::randn({2, tensor.size(1)}) / 10, at::randn({tensor.size(0), 2}) / 10};
    conversion_.model_updates[name] = update;
    tensor = tensor + update.b.matmul(update.a);
  }
  apply_conversion(conversion_, model_);
  const at::Tensor expected = LlamaModel::load(checkpoint, {}).forward(ids);
  EXPECT_LT((model_.forward(ids) - expected).abs().max().item<double>(), 1e-5);
  EXPECT_TRUE(parent.forward(ids).equal(before));
}

TEST_F(ApplyConversionTest, RefusesAWeightThatTheModelDoesNotHave) {
  for (const char* name : {"model.layers.2.mlp.up_proj.weight", "model.layers.x.mlp.up_proj.weight",
                           "model.layers.0.mlp.gate.weight", "lm_head"}) {
    conversion_.model_tensors = {{name, at::ones({48, 32})}};
    EXPECT_THAT([&] { apply_conversion(conversion_, model_); },
                testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr(name)));
  }
  conversion_.model_tensors = {{"model.layers.0.mlp.up_proj.weight", at::ones({48, 31})}};
  EXPECT_THROW(apply_conversion(conversion_, model_), std::invalid_argument);
}

TEST_F(ApplyConversionTest, ReplacesNothingIfTheConversionIsOfAnotherModel) {
  conversion_.layers[1] = conversion_.layers[0];
  conversion_.layers[1].shared->neurons = at::tensor({48}, at::kLong);
  EXPECT_THAT(
      [&] { apply_conversion(conversion_, model_); },
      testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr("layer 1: shared.neurons holds neuron 48")));
  EXPECT_NE(dynamic_cast<const GatedMlp*>(&model_.layers()[0].feed_forward()), nullptr);
}

}  // namespace
}  // namespace moebench
