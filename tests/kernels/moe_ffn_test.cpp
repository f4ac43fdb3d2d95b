// What every variant must do, for each dtype: contract tests over tested_variants().
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/reference.h"
#include "tests/kernels/random_network.h"
#include "tests/kernels/tested_variants.h"

namespace moebench::kernels {
namespace {

struct Result {
  std::vector<char> output;
  std::vector<int32_t> experts;
  std::vector<float> weights;
  bool operator==(const Result&) const = default;
};

struct VariantCase {
  std::string variant;
  Dtype dtype;
};

std::vector<VariantCase> variant_cases(const std::string& prefix) {
  std::vector<VariantCase> cases;
  for (const MoeFfnVariant& variant : tested_variants()) {
    if (!variant.name.starts_with(prefix)) continue;
    for (const Dtype dtype : variant.dtypes) cases.push_back({variant.name, dtype});
  }
  return cases;
}

std::string case_name(const testing::TestParamInfo<VariantCase>& info) {
  std::string name = info.param.variant + (info.param.dtype == Dtype::kFloat32 ? "_float32" : "_bfloat16");
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

class MoeFfnTest : public testing::TestWithParam<VariantCase> {
 protected:
  bool is_fused() const { return GetParam().variant.starts_with("fused"); }
  // Of the length of a token's output. float32: sums of some hundred products. bfloat16 rounds by 2^-8 at most, by
  // 0.0017 in the root mean square: activations and outputs once each, and the reference's outputs, 0.003 together;
  // 1/128 is what three such errors in one direction come to at two thirds of the most. `library` rounds four times
  // more.
  double tolerance() const { return GetParam().dtype == Dtype::kFloat32 ? 1e-5 : is_fused() ? 1.0 / 128 : 1.0 / 60; }

  RandomNetwork random_network(RandomNetworkShape shape, uint32_t seed = 1) const {
    shape.dtype = GetParam().dtype;
    return RandomNetwork(shape, seed);
  }

  std::unique_ptr<MoeFfnKernel> kernel(const MoeFfn& network) const {
    const auto& variants = tested_variants();
    const auto found = std::find_if(variants.begin(), variants.end(),
                                    [](const MoeFfnVariant& variant) { return variant.name == GetParam().variant; });
    return found->create(network);
  }

  static Result run(const MoeFfnKernel& kernel, const MoeFfn& network, const std::vector<char>& input, int64_t stride,
                    Result given = {}, int num_threads = 1) {
    const int64_t bytes = element_size(network.dtype);
    const int64_t num_tokens = static_cast<int64_t>(input.size()) / (stride * bytes);
    Result result = std::move(given);
    const int64_t output_stride = network.hidden_size + 1;
    result.output.assign(num_tokens * output_stride * bytes, '\x55');
    result.experts.resize(num_tokens * network.top_k, -7);
    result.weights.resize(num_tokens * network.top_k, -7);
    kernel.run({.num_tokens = num_tokens,
                .input = input.data(),
                .input_stride = stride,
                .output = result.output.data(),
                .output_stride = output_stride,
                .experts = result.experts.data(),
                .weights = result.weights.data(),
                .num_threads = num_threads});
    return result;
  }

  // Experts equal, weights and outputs within tolerance, not-a-number and infinities where the reference has them,
  // nothing written between rows.
  void expect_near(const RandomNetwork& network, const Result& actual, const Result& expected) const {
    EXPECT_EQ(actual.experts, expected.experts);
    EXPECT_THAT(actual.weights, testing::Pointwise(testing::NanSensitiveFloatNear(1e-5), expected.weights));
    const int64_t hidden_size = network.network.hidden_size, stride = hidden_size + 1;
    const int64_t bytes = element_size(network.network.dtype);
    const int64_t num_tokens = static_cast<int64_t>(actual.output.size()) / (stride * bytes);
    for (int64_t token = 0; token < num_tokens; ++token) {
      double distance = 0, length = 0;
      for (int64_t i = token * stride; i < token * stride + hidden_size; ++i) {
        const double a = network.value(actual.output, i), e = network.value(expected.output, i);
        if (!std::isfinite(e)) {
          EXPECT_TRUE(std::isnan(e) ? std::isnan(a) : a == e) << "token " << token << ": " << a << ", not " << e;
          continue;
        }
        distance += (a - e) * (a - e);
        length += e * e;
      }
      EXPECT_LE(std::sqrt(distance), tolerance() * std::sqrt(length)) << "token " << token;
      EXPECT_EQ(std::memcmp(&actual.output[(token * stride + hidden_size) * bytes], "\x55\x55\x55\x55", bytes), 0);
    }
  }

  void expect_equals_reference(RandomNetwork& network, int64_t num_tokens, const Result& given = {},
                               int num_threads = 1) {
    const int64_t stride = network.network.hidden_size + 5;
    const std::vector<char> input = network.inputs(num_tokens, stride);
    const Result expected = run(*make_reference(network.network), network.network, input, stride, given);
    expect_near(network, run(*kernel(network.network), network.network, input, stride, given, num_threads), expected);
  }
};

// What only these promise.
class FusedTest : public MoeFfnTest {};

TEST_P(MoeFfnTest, DenseOfAnyWidthEqualsTheReference) {
  for (const int64_t width : {1, 7, 16, 17, 31, 32, 33, 96, 352, 688}) {
    RandomNetwork network = random_network({.shared_width = width, .has_output_biases = width % 2 == 1});
    SCOPED_TRACE(width);
    for (const int64_t num_tokens : {1, 5}) expect_equals_reference(network, num_tokens);
  }
}

TEST_P(MoeFfnTest, AnyHiddenSizeEqualsTheReference) {
  for (const int64_t hidden_size : {2, 30, 34, 66, 576}) {
    RandomNetwork network = random_network(
        {.hidden_size = hidden_size, .widths = {16, 20, 9}, .top_k = 2, .router = Router::Kind::kLinear});
    SCOPED_TRACE(hidden_size);
    expect_equals_reference(network, 6);
  }
}

TEST_P(MoeFfnTest, AnyNumberOfTokensEqualsTheReference) {
  RandomNetwork network =
      random_network({.widths = {24, 16, 40, 8}, .shared_width = 20, .top_k = 2, .router = Router::Kind::kLinear});
  for (const int64_t num_tokens : {0, 1, 2, 11, 12, 13, 16, 17, 25, 100, 1025}) {
    SCOPED_TRACE(num_tokens);
    expect_equals_reference(network, num_tokens, {}, /*num_threads=*/2);
  }
}

TEST_P(MoeFfnTest, EveryRouterRuleAndTopKEqualsTheReference) {
  using enum RoutingRule::Softmax;
  using enum RoutingRule::Weights;
  using enum RoutingRule::Visits;
  for (const auto router :
       {Router::Kind::kLinear, Router::Kind::kQuadratic, Router::Kind::kGatedRows, Router::Kind::kTanhMlp}) {
    for (const auto softmax : {kNone, kBeforeTopK, kAfterTopK}) {
      for (const auto weights : {kUnit, kScores, kOnePlusScaledScores}) {
        for (const auto visits : {kTopK, kCumulativeMass, kThreshold}) {
          for (const int64_t top_k : {1, 3, 5}) {
            RandomNetwork network = random_network({.widths = {16, 16, 16, 16, 16}, .top_k = top_k, .router = router});
            network.network.rule = {
                .softmax = softmax, .weights = weights, .visits = visits, .level = 0.6f, .scale = 1.5f};
            if (top_k == 3) {
              network.network.rule.selection_bias = {0.1f, -0.2f, 0.05f, 0, 0.3f};
              network.network.rule.expert_scale = {1, -0.5f, 2, 0.25f, 3};
            }
            SCOPED_TRACE("router " + std::to_string(int(router)) + " softmax " + std::to_string(int(softmax)) +
                         " weights " + std::to_string(int(weights)) + " visits " + std::to_string(int(visits)) +
                         " top_k " + std::to_string(top_k));
            expect_equals_reference(network, 20);
          }
        }
      }
    }
  }
}

TEST_P(MoeFfnTest, ManyExpertsEqualTheReference) {
  RandomNetwork network =
      random_network({.widths = std::vector<int64_t>(128, 16), .top_k = 40, .router = Router::Kind::kQuadratic});
  network.network.rule = {.softmax = RoutingRule::Softmax::kAfterTopK, .weights = RoutingRule::Weights::kScores};
  expect_equals_reference(network, 19, {}, 2);
}

TEST_P(MoeFfnTest, BiasesOfVisitedAndOfAbsentExpertsEqualTheReference) {
  RandomNetwork network = random_network({.widths = {16, 8, 24, 16},
                                          .shared_width = 8,
                                          .top_k = 2,
                                          .router = Router::Kind::kGatedRows,
                                          .has_output_biases = true,
                                          .has_absent_biases = true});
  network.network.experts[2].absent_bias = nullptr;
  network.network.experts[1].output_bias = nullptr;
  network.network.rule.scale = 0.7f;
  expect_equals_reference(network, 30);
}

TEST_P(MoeFfnTest, AllOnOneExpertNobodyOnOthersAndVisitsOfNoWeight) {
  RandomNetwork network = random_network({.widths = {16, 40, 12}, .top_k = 2, .has_absent_biases = true});
  Result given;
  for (int token = 0; token < 40; ++token) {
    given.experts.insert(given.experts.end(), {1, token % 4 == 0 ? 0 : -1 - token % 3});
    given.weights.insert(given.weights.end(), {token % 3 == 0 ? 0 : 0.5f, -2});
  }
  expect_equals_reference(network, 40, given, 2);
}

TEST_P(MoeFfnTest, EveryExpertWithWeightOneEqualsDense) {
  const int64_t hidden_size = 48, width = 20, num_experts = 6, num_tokens = 9;
  RandomNetwork dense = random_network({.hidden_size = hidden_size, .shared_width = width * num_experts});
  const GatedExpert whole = *dense.network.shared;
  MoeFfn mixture{.dtype = GetParam().dtype, .hidden_size = hidden_size, .top_k = num_experts};
  const auto part = [&](const Matrix& matrix, int64_t row, int64_t column, int64_t rows, int64_t columns) {
    return Matrix{
        static_cast<const char*>(matrix.data) + (row * matrix.row_stride + column) * element_size(mixture.dtype), rows,
        columns, matrix.row_stride};
  };
  Result given;
  for (int64_t expert = 0; expert < num_experts; ++expert) {
    mixture.experts.push_back({.gate = part(whole.gate, expert * width, 0, width, hidden_size),
                               .up = part(whole.up, expert * width, 0, width, hidden_size),
                               .down = part(whole.down, 0, expert * width, hidden_size, width)});
  }
  for (int64_t visit = 0; visit < num_tokens * num_experts; ++visit) {
    given.experts.push_back(static_cast<int32_t>(visit % num_experts));
    given.weights.push_back(1);
  }
  const std::vector<char> input = dense.inputs(num_tokens, hidden_size);
  Result expected = run(*make_reference(dense.network), dense.network, input, hidden_size);
  expected.experts = given.experts;
  expected.weights = given.weights;
  expect_near(dense, run(*kernel(mixture), mixture, input, hidden_size, given), expected);
}

TEST_P(MoeFfnTest, OfEqualScoresTheLowerIndexIsChosen) {
  RandomNetwork network = random_network({.widths = {8, 8, 8, 8, 8}, .top_k = 3, .router = Router::Kind::kLinear});
  network.network.router.bias = nullptr;
  network.network.router.first.rows = 5;
  std::vector<char> same(5 * 64 * element_size(GetParam().dtype));
  network.network.router.first = {same.data(), 5, 64, 64};
  const std::vector<char> input = network.inputs(4, 64);
  const Result result = run(*kernel(network.network), network.network, input, 64);
  for (int token = 0; token < 4; ++token) {
    EXPECT_EQ(std::vector(&result.experts[token * 3], &result.experts[token * 3] + 3), (std::vector<int32_t>{0, 1, 2}));
  }
}

TEST_P(MoeFfnTest, WhatIsNotFinitePassesThroughAndTouchesNoOtherToken) {
  for (const float value : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                            -std::numeric_limits<float>::infinity()}) {
    SCOPED_TRACE(value);
    RandomNetwork network = random_network({.widths = {5, 16, 33}, .shared_width = 9, .top_k = 2});
    Result given;
    for (int token = 0; token < 14; ++token) {
      given.experts.insert(given.experts.end(), {token % 3, (token + 1) % 3});
      given.weights.insert(given.weights.end(), {1, 0.5f});
    }
    std::vector<char> input = network.inputs(14, 64);
    network.set(input, 3 * 64 + 7, value);
    const Result expected = run(*make_reference(network.network), network.network, input, 64, given);
    expect_near(network, run(*kernel(network.network), network.network, input, 64, given), expected);
  }
}

TEST_P(MoeFfnTest, ScoresThatAreNotNumbersStillChooseAllDifferentExperts) {
  RandomNetwork network = random_network({.widths = {8, 8, 8, 8}, .top_k = 3, .router = Router::Kind::kLinear});
  network.network.rule = {.softmax = RoutingRule::Softmax::kBeforeTopK, .weights = RoutingRule::Weights::kScores};
  std::vector<char> input = network.inputs(2, 64);
  network.set(input, 3, std::numeric_limits<float>::quiet_NaN());
  const Result expected = run(*make_reference(network.network), network.network, input, 64);
  expect_near(network, run(*kernel(network.network), network.network, input, 64), expected);
}

TEST_P(MoeFfnTest, ASquareBeyondTheLargestFloatIsTheLargestScore) {
  RandomNetwork network = random_network({.widths = {8, 8, 8}, .top_k = 1, .router = Router::Kind::kQuadratic});
  std::vector<char> rows(3 * 64 * element_size(GetParam().dtype));
  for (int expert = 0; expert < 3; ++expert) network.set(rows, expert * 64, expert == 1 ? 1 : -1);
  network.network.router.first = network.network.router.second = {rows.data(), 3, 64, 64};
  std::vector<char> input(64 * element_size(GetParam().dtype));
  for (int i = 0; i < 64; ++i) network.set(input, i, i == 0 ? 1e30f : 0);  // its square is infinite
  EXPECT_EQ(run(*kernel(network.network), network.network, input, 64).experts, std::vector<int32_t>{1});
}

TEST_P(MoeFfnTest, SameCallGivesSameBits) {
  RandomNetwork network =
      random_network({.widths = {40, 16, 25}, .shared_width = 30, .top_k = 2, .router = Router::Kind::kQuadratic});
  const auto kernel = this->kernel(network.network);
  const std::vector<char> input = network.inputs(70, 64);
  const Result first = run(*kernel, network.network, input, 64, {}, 2);
  for (int repetition = 0; repetition < 10; ++repetition) {
    EXPECT_EQ(run(*kernel, network.network, input, 64, {}, 2), first);
  }
}

TEST_P(FusedTest, SameBitsWhateverTheThreadsAndTheTokensBeside) {
  RandomNetwork network = random_network({.hidden_size = 66,
                                          .widths = {40, 16, 25, 96},
                                          .shared_width = 30,
                                          .top_k = 2,
                                          .router = Router::Kind::kQuadratic,
                                          .has_output_biases = true});
  network.network.rule = {.softmax = RoutingRule::Softmax::kBeforeTopK, .weights = RoutingRule::Weights::kScores};
  const auto kernel = this->kernel(network.network);
  const int64_t num_tokens = 61, hidden_size = network.network.hidden_size;
  const int64_t input_bytes = hidden_size * element_size(GetParam().dtype);
  const int64_t row_bytes = (hidden_size + 1) * element_size(GetParam().dtype);
  const std::vector<char> input = network.inputs(num_tokens, hidden_size);
  const Result together = run(*kernel, network.network, input, hidden_size);
  for (const int num_threads : {2, 3, 8}) {
    EXPECT_EQ(run(*kernel, network.network, input, hidden_size, {}, num_threads), together) << num_threads;
  }
  for (int64_t token = 0; token < num_tokens; ++token) {
    const std::vector<char> one(&input[token * input_bytes], &input[token * input_bytes] + input_bytes);
    const Result alone = run(*kernel, network.network, one, hidden_size);
    EXPECT_EQ(std::memcmp(alone.output.data(), &together.output[token * row_bytes], row_bytes), 0) << token;
    EXPECT_EQ(alone.experts[0], together.experts[token * 2]);
  }
}

TEST_P(FusedTest, CallsFromSeveralThreadsAtOnceDoNotMeet) {
  RandomNetwork network =
      random_network({.widths = {40, 16, 25}, .shared_width = 30, .top_k = 2, .router = Router::Kind::kQuadratic});
  const auto kernel = this->kernel(network.network);
  std::vector<std::vector<char>> inputs;
  std::vector<Result> expected, actual(4);
  for (int caller = 0; caller < 4; ++caller) {
    inputs.push_back(network.inputs(30 + caller, 64));
    expected.push_back(run(*kernel, network.network, inputs.back(), 64));
  }
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&, caller] {
      for (int repetition = 0; repetition < 20; ++repetition) {
        actual[caller] = run(*kernel, network.network, inputs[caller], 64);
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(actual, expected);
}

TEST_P(MoeFfnTest, ExpertsAndWeightsNeedNotBeAskedFor) {
  RandomNetwork network = random_network({.widths = {16, 16, 16}, .top_k = 2, .router = Router::Kind::kLinear});
  const std::vector<char> input = network.inputs(20, 64);
  const auto kernel = this->kernel(network.network);
  const Result asked = run(*kernel, network.network, input, 64);
  std::vector<char> output(asked.output.size(), '\x55');
  kernel->run(
      {.num_tokens = 20, .input = input.data(), .input_stride = 64, .output = output.data(), .output_stride = 65});
  EXPECT_EQ(output, asked.output);
}

TEST_P(MoeFfnTest, RefusesWhatCannotBe) {
  const auto refuses = [&](auto change, const std::string& message) {
    RandomNetwork network =
        random_network({.widths = {16, 16}, .shared_width = 8, .top_k = 2, .router = Router::Kind::kLinear});
    change(network.network);
    EXPECT_THAT([&] { kernel(network.network); },
                testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr(message)));
  };
  refuses([](MoeFfn& network) { network.top_k = 3; }, "top_k 3 of 2 experts");
  refuses([](MoeFfn& network) { network.top_k = -1; }, "top_k -1");
  refuses([](MoeFfn& network) { network.hidden_size = 63; }, "hidden_size 63 is not an even number");
  refuses([](MoeFfn& network) { network.hidden_size = int64_t{1} << 40; }, "hidden_size");
  refuses([](MoeFfn& network) { network.experts[1].up.rows = 15; }, "experts.1.up is [15, 64], not [16, 64]");
  refuses([](MoeFfn& network) { network.experts[0].gate.rows = 0; }, "experts.0.gate has 0 rows");
  refuses([](MoeFfn& network) { network.shared->down.data = nullptr; }, "shared.down is null");
  refuses([](MoeFfn& network) { network.experts[0].gate.row_stride = 63; }, "experts.0.gate has a row stride of 63");
  refuses([](MoeFfn& network) { network.router.first.columns = 4; }, "router.first is [2, 4], not [2, 64]");
  refuses([](MoeFfn& network) { network.rule.expert_scale = {1}; }, "rule.expert_scale has 1 values for 2 experts");
  refuses(
      [](MoeFfn& network) { network.experts[0].up.data = static_cast<const char*>(network.experts[0].up.data) + 1; },
      "experts.0.up is not aligned");
  refuses(
      [](MoeFfn& network) {
        network.experts.clear();
        network.shared.reset();
        network.top_k = 0;
      },
      "no expert");
}

TEST_P(MoeFfnTest, RefusesACallThatCannotBe) {
  RandomNetwork network = random_network({.widths = {16, 16}, .top_k = 2});
  const auto kernel = this->kernel(network.network);
  const std::vector<char> input = network.inputs(2, 64);
  std::vector<char> output(input.size());
  std::vector<int32_t> experts = {0, 1, 1, 0};
  std::vector<float> weights = {1, 1, 1, 1};
  const auto refuses = [&](auto change, const std::string& message) {
    MoeFfnCall call{.num_tokens = 2,
                    .input = input.data(),
                    .input_stride = 64,
                    .output = output.data(),
                    .output_stride = 64,
                    .experts = experts.data(),
                    .weights = weights.data()};
    change(call);
    EXPECT_THAT([&] { kernel->run(call); }, testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr(message)));
  };
  refuses([](MoeFfnCall& call) { call.num_tokens = -1; }, "num_tokens -1");
  refuses([](MoeFfnCall& call) { call.num_tokens = int64_t{1} << 40; }, "num_tokens");
  refuses([](MoeFfnCall& call) { call.num_threads = 0; }, "num_threads 0");
  refuses([](MoeFfnCall& call) { call.input = nullptr; }, "input is null");
  refuses([](MoeFfnCall& call) { call.output = static_cast<char*>(call.output) + 1; }, "output is not aligned");
  refuses([](MoeFfnCall& call) { call.input_stride = 10; }, "input_stride 10");
  refuses([](MoeFfnCall& call) { call.experts = nullptr; }, "experts is null");
  experts[2] = 2;
  refuses([](MoeFfnCall&) {}, "token 1 visits expert 2 of 2");
  experts[2] = -3;
  refuses([](MoeFfnCall&) {}, "token 1 visits expert -3 of 2");
  experts[2] = 0;
  refuses([](MoeFfnCall&) {}, "token 1 visits expert 0 twice");
}

INSTANTIATE_TEST_SUITE_P(Variants, MoeFfnTest, testing::ValuesIn(variant_cases("")), case_name);
INSTANTIATE_TEST_SUITE_P(Variants, FusedTest, testing::ValuesIn(variant_cases("fused")), case_name);
// Not every executable has fused variants.
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(FusedTest);

}  // namespace
}  // namespace moebench::kernels
