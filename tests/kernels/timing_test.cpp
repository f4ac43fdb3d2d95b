#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/cpu/instruction_set.h"
#include "kernels/timing/ceilings.h"
#include "kernels/timing/ffn_latency.h"
#include "kernels/timing/random_ffn.h"
#include "kernels/timing/turns.h"

namespace moebench::kernels {
namespace {

TEST(TurnsTest, EveryArmRunsOnceARoundAndEveryRoundBeginsWithAnother) {
  std::string order;
  const auto arm = [&](char name) { return TimedArm{{name}, [&order, name](int64_t) { order += name; }}; };
  const auto seconds = time_in_turns({arm('a'), arm('b'), arm('c')}, {.min_rounds = 3, .max_rounds = 3, .seconds = 0});
  EXPECT_EQ(order, "abcbcacababc");
  ASSERT_EQ(seconds.size(), 3u);
  for (const auto& arm_seconds : seconds) EXPECT_EQ(arm_seconds.size(), 3u) << "the first round is not counted";
}

TEST(TurnsTest, RoundsKnowTheirNumber) {
  std::vector<int64_t> rounds;
  time_in_turns({{"", [&](int64_t round) { rounds.push_back(round); }}}, {.min_rounds = 2, .seconds = 0});
  EXPECT_EQ(rounds, (std::vector<int64_t>{0, 1, 2}));
}

TEST(TurnsTest, QuantilesAreLinearBetweenNeighbours) {
  const std::vector<double> values = {4, 1, 3, 2};
  EXPECT_EQ(quantile(values, 0), 1);
  EXPECT_EQ(quantile(values, 0.5), 2.5);
  EXPECT_EQ(quantile(values, 1), 4);
  EXPECT_DOUBLE_EQ(quantile(values, 0.1), 1.3);
  EXPECT_THROW(quantile({}, 0.5), std::logic_error);
}

TEST(TurnsTest, PairedRatioIsThatOfNeighboursWhateverTheMachineDoes) {
  std::mt19937_64 generator(7);
  std::lognormal_distribution<double> machine(0, 2);
  std::vector<double> numerator, denominator;
  for (int round = 0; round < 30; ++round) {
    denominator.push_back(machine(generator));
    numerator.push_back(0.7 * denominator.back());
  }
  const PairedRatio ratio = paired_ratio(numerator, denominator);
  EXPECT_NEAR(ratio.median, 0.7, 1e-12);
  EXPECT_NEAR(ratio.low, 0.7, 1e-12);
  EXPECT_NEAR(ratio.high, 0.7, 1e-12);
}

// The coverage of a 95 % interval of the median of ratios whose median is 1.
TEST(TurnsTest, IntervalHoldsTheTruthAsOftenAsItSays) {
  std::mt19937_64 generator(5);
  std::lognormal_distribution<double> noise(0, 0.1);
  int covered = 0;
  constexpr int kTimes = 400;
  for (int time = 0; time < kTimes; ++time) {
    std::vector<double> numerator, denominator(25, 1);
    for (int round = 0; round < 25; ++round) numerator.push_back(noise(generator));
    const PairedRatio ratio = paired_ratio(numerator, denominator);
    covered += ratio.low <= 1 && 1 <= ratio.high;
  }
  EXPECT_GE(covered, 0.91 * kTimes);
  EXPECT_LE(covered, 0.995 * kTimes);
}

TEST(TurnsTest, ADifferenceCountsOnlyBeyondWhatEqualArmsShow) {
  const PairedRatio same{1.01, 0.98, 1.03};
  EXPECT_EQ(judge({0.9, 0.88, 0.92}, same), Verdict::kFaster);
  EXPECT_EQ(judge({0.96, 0.95, 0.98}, same), Verdict::kIndistinguishable);
  EXPECT_EQ(judge({1.1, 1.04, 1.2}, same), Verdict::kSlower);
  EXPECT_EQ(judge({1.1, 1.02, 1.2}, same), Verdict::kIndistinguishable);
  EXPECT_EQ(judge({0.5, 0.4, 1.1}, {1, 1, 1}), Verdict::kIndistinguishable);
}

TEST(CeilingsTest, EveryInstructionSetHasOnes) {
  for (const InstructionSet* set : machine_instruction_sets()) {
    const Ceilings ceilings = measure_ceilings(*set, 1);
    EXPECT_GT(ceilings.read_bytes_per_second, 1e8) << set->name;
    EXPECT_LT(ceilings.read_bytes_per_second, 1e13) << set->name << ": was anything read?";
    for (const Dtype dtype : {Dtype::kFloat32, Dtype::kBFloat16}) {
      EXPECT_GT(ceilings.flops(dtype), 1e9) << set->name;
      EXPECT_LT(ceilings.flops(dtype), 1e13) << set->name << ": was anything computed?";
    }
  }
}

// 64 hidden, 96 neurons.
const FfnShape kTiny = {"tiny", 64, 96, 2};

LayerStack stack_of(const std::string& name, const std::vector<MoeFfn>& layers) {
  return {.name = name, .layers = layers};
}

class FfnLatencyTest : public testing::Test {
 protected:
  std::vector<LatencyRow> measure(RoutingPattern pattern, int64_t top_k, const std::vector<int64_t>& num_tokens) {
    const RandomFfn dense(kTiny, Dtype::kFloat32, 1), mixture(kTiny, 6, pattern, Dtype::kFloat32, 2);
    return measure_ffn_latency({stack_of("dense", {dense.network(), dense.network()}),
                                stack_of("mixture", {mixture.network(top_k), mixture.network(top_k)})},
                               {.num_tokens = num_tokens, .limits = {.min_rounds = 3, .seconds = 0}});
  }
};

TEST_F(FfnLatencyTest, EveryNetworkByEveryVariantIsARowAndOneDenseIsTheBest) {
  const auto rows = measure(RoutingPattern::kBalanced, 2, {1, 5});
  ASSERT_EQ(rows.size(), 8u);
  for (size_t first = 0; first < rows.size(); first += 4) {
    int best = 0;
    for (size_t row = first; row < first + 4; ++row) {
      EXPECT_EQ(rows[row].num_tokens, first == 0 ? 1 : 5);
      EXPECT_EQ(rows[row].network, row < first + 2 ? "dense" : "mixture");
      EXPECT_EQ(rows[row].seconds.size(), 3u);
      EXPECT_LE(rows[row].ratio.low, rows[row].ratio.high);
      best += rows[row].is_best_dense;
      EXPECT_TRUE(!rows[row].is_best_dense || rows[row].network == "dense");
    }
    EXPECT_EQ(best, 1);
    const size_t other = rows[first].is_best_dense ? first + 1 : first;
    EXPECT_LE(quantile(rows[2 * first + 1 - other].seconds, 0.5), quantile(rows[other].seconds, 0.5));
  }
}

TEST_F(FfnLatencyTest, BytesAndOperationsAreCountedAsByHand) {
  const auto rows = measure(RoutingPattern::kOne, 2, {5});
  const double dense_weights = 3 * 64 * 96, tokens = 2 * 5 * 64;
  EXPECT_EQ(rows[0].bytes, 4 * (dense_weights + tokens));
  EXPECT_EQ(rows[0].flops, 2 * 5 * dense_weights);
  EXPECT_EQ(rows[0].active_ratio, 1);
  const double expert_weights = 2 * 3 * 64 * 16, router = 64 * 6;
  EXPECT_EQ(rows[2].bytes, 4 * (expert_weights + router + tokens));
  EXPECT_EQ(rows[2].flops, 2 * 5 * (expert_weights + router));
  EXPECT_EQ(rows[2].experts_hit, 2);
  EXPECT_EQ(rows[2].load, 3) << "two experts do the work of six";
  EXPECT_NEAR(rows[2].active_ratio, 2.0 / 6, 1e-12);
}

TEST_F(FfnLatencyTest, SkewedRoutingLoadsTheFirstExpertsMore) {
  const double balanced = measure(RoutingPattern::kBalanced, 2, {512})[2].load;
  const double skewed = measure(RoutingPattern::kSkewed, 2, {512})[2].load;
  EXPECT_LT(balanced, 1.5);
  EXPECT_GT(skewed, 1.2 * balanced);
  EXPECT_LT(skewed, 3) << "not all on two";
}

TEST_F(FfnLatencyTest, RowsThatLayersReallySeeAreTaken) {
  const RandomFfn dense(kTiny, Dtype::kFloat32, 1);
  // Experts differ with the row's sign; three rows of each.
  RandomFfn mixture(kTiny, 2, RoutingPattern::kBalanced, Dtype::kFloat32, 2);
  MoeFfn network = mixture.network(1);
  std::vector<float> router(2 * 64), inputs(6 * 64);
  for (int i = 0; i < 64; ++i) {
    router[i] = 1;
    router[64 + i] = -1;
    for (int row = 0; row < 6; ++row) inputs[row * 64 + i] = row < 3 ? 1 : -1;
  }
  network.router.first = {router.data(), 2, 64, 64};
  const auto stack = [&](const std::string& name, const MoeFfn& layer) {
    return LayerStack{.name = name, .layers = {layer}, .inputs = {inputs.data()}, .num_inputs = 6};
  };
  const std::vector<LayerStack> stacks = {stack("dense", dense.network()), stack("mixture", network)};
  const LatencyOptions options{.num_tokens = {3}, .limits = {.min_rounds = 3, .seconds = 0}};
  EXPECT_EQ(measure_ffn_latency(stacks, options)[2].experts_hit, 1) << "the first three rows go to one expert";
  LatencyOptions more = options;
  more.num_tokens = {7};
  EXPECT_THAT([&] { measure_ffn_latency(stacks, more); },
              testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr("7 tokens of 6")));
}

TEST_F(FfnLatencyTest, ProgressMayStopIt) {
  const RandomFfn dense(kTiny, Dtype::kFloat32, 1);
  const LatencyOptions options{.num_tokens = {1}, .progress = [](double) { throw std::runtime_error("stop"); }};
  EXPECT_THROW(measure_ffn_latency({stack_of("dense", {dense.network()})}, options), std::runtime_error);
}

TEST(RandomFfnTest, UnequalExpertsAndUnknownShapesAreRefused) {
  EXPECT_THAT([] { RandomFfn(kTiny, 7, RoutingPattern::kBalanced, Dtype::kFloat32, 1); },
              testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr("96 neurons are not 7 equal experts")));
  EXPECT_THAT([] { ffn_shape("llama-9"); },
              testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr("known: smollm2-135m")));
}

TEST(RandomFfnTest, SameSeedSameBits) {
  const RandomMatrix one(5, 7, Dtype::kBFloat16, 3), same(5, 7, Dtype::kBFloat16, 3), other(5, 7, Dtype::kBFloat16, 4);
  EXPECT_EQ(std::memcmp(one.view().data, same.view().data, 70), 0);
  EXPECT_NE(std::memcmp(one.view().data, other.view().data, 70), 0);
}

}  // namespace
}  // namespace moebench::kernels
