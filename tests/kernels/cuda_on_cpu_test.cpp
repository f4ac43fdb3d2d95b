// What the contract tests do not reach of the device code, run by the CPU (cuda_on_cpu.h): the host's memory is the
// device's, so that calls are enqueued as they are.
#include <cmath>
#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/cuda/moe_ffn.h"
#include "kernels/reference.h"
#include "tests/kernels/cuda_on_cpu.h"
#include "tests/kernels/random_network.h"

namespace moebench::kernels::cuda {
namespace {

constexpr Strategy kStrategies[] = {Strategy::kComposite, Strategy::kPrefill, Strategy::kDecode, Strategy::kAuto};

struct Assignments {
  std::vector<int32_t> experts;
  std::vector<float> weights;
};

class CudaOnCpuTest : public testing::TestWithParam<Dtype> {
 protected:
  RandomNetwork random_network(RandomNetworkShape shape) const {
    shape.dtype = GetParam();
    return RandomNetwork(shape);
  }
  double tolerance() const { return GetParam() == Dtype::kFloat32 ? 1e-5 : 1.0 / 60; }

  // [num_tokens, D], of inputs whose rows are row_gap elements longer.
  static std::vector<float> outputs(const RandomNetwork& network, const std::vector<char>& input, int64_t num_tokens,
                                    int64_t row_gap, Assignments given, const std::function<void(MoeFfnCall)>& run) {
    const int64_t hidden_size = network.network.hidden_size;
    std::vector<char> output(num_tokens * hidden_size * element_size(network.network.dtype));
    run({.num_tokens = num_tokens,
         .input = input.data(),
         .input_stride = hidden_size + row_gap,
         .output = output.data(),
         .output_stride = hidden_size,
         .experts = given.experts.empty() ? nullptr : given.experts.data(),
         .weights = given.weights.empty() ? nullptr : given.weights.data()});
    std::vector<float> values;
    for (int64_t i = 0; i < num_tokens * hidden_size; ++i) values.push_back(network.value(output, i));
    return values;
  }

  static std::vector<float> enqueued(const RandomNetwork& network, const std::vector<char>& input, int64_t num_tokens,
                                     int64_t row_gap, const Assignments& given, const Options& options) {
    const auto kernel = make_moe_ffn(network.network, options);
    return outputs(network, input, num_tokens, row_gap, given,
                   [&](const MoeFfnCall& call) { kernel->enqueue(call, nullptr); });
  }

  void expect_near(const std::vector<float>& actual, const std::vector<float>& expected) const {
    double distance = 0, length = 0;
    for (size_t i = 0; i < expected.size(); ++i) {
      distance += std::pow(double{actual[i]} - double{expected[i]}, 2);
      length += std::pow(double{expected[i]}, 2);
    }
    EXPECT_LE(std::sqrt(distance), tolerance() * std::sqrt(length));
  }

  // Every strategy, enqueued, against the reference with `expected` for its assignments.
  void expect_equals_reference(RandomNetwork& network, int64_t num_tokens, int64_t row_gap, const Assignments& given,
                               const Assignments& expected) const {
    const std::vector<char> input = network.inputs(num_tokens, network.network.hidden_size + row_gap);
    const auto reference = make_reference(network.network);
    const std::vector<float> right =
        outputs(network, input, num_tokens, row_gap, expected, [&](const MoeFfnCall& call) { reference->run(call); });
    for (const Strategy strategy : kStrategies) {
      SCOPED_TRACE(static_cast<int>(strategy));
      expect_near(enqueued(network, input, num_tokens, row_gap, given, {.strategy = strategy, .most_tokens = 400}),
                  right);
    }
  }
};

TEST_P(CudaOnCpuTest, ManyVisitsOfAnExpertFillSeveralTiles) {
  RandomNetwork network = random_network({.hidden_size = 160,
                                          .widths = {96, 70},
                                          .shared_width = 40,
                                          .top_k = 1,
                                          .router = Router::Kind::kLinear,
                                          .has_output_biases = true});
  // Of 32 tokens each; where many visit an expert, in bfloat16, of 128.
  expect_equals_reference(network, GetParam() == Dtype::kFloat32 ? 70 : 370, 0, {}, {});
}

TEST_P(CudaOnCpuTest, RowsThatAreNotAlignedAreCopied) {
  RandomNetwork network = random_network({.widths = {24, 16, 40}, .top_k = 2, .router = Router::Kind::kLinear});
  for (const int64_t num_tokens : {3, 40}) expect_equals_reference(network, num_tokens, 3, {}, {});
}

TEST_P(CudaOnCpuTest, GivenExpertsOutOfRangeAreNotVisited) {
  RandomNetwork network = random_network({.widths = {24, 16, 40}, .top_k = 2, .has_absent_biases = true});
  Assignments given, expected;
  for (int token = 0; token < 20; ++token) {
    given.experts.insert(given.experts.end(), {token % 3, token % 2 ? 3 : -100});
    expected.experts.insert(expected.experts.end(), {token % 3, -1});
    given.weights.insert(given.weights.end(), {1, 5});
    expected.weights.insert(expected.weights.end(), {1, 5});
  }
  expect_equals_reference(network, 20, 0, given, expected);
}

TEST_P(CudaOnCpuTest, AnExpertThatATokenVisitsTwiceIsAddedTwice) {
  RandomNetwork network =
      random_network({.widths = {24, 16, 40}, .top_k = 3, .has_output_biases = true, .has_absent_biases = true});
  Assignments given, expected;
  for (int token = 0; token < 20; ++token) {
    const int expert = token % 3, other = (token + 1) % 3, third = (token + 2) % 3;
    given.experts.insert(given.experts.end(), {expert, other, expert});
    given.weights.insert(given.weights.end(), {1, 0.5f, -0.25f});
    expected.experts.insert(expected.experts.end(), {expert, other, -1 - third});
    expected.weights.insert(expected.weights.end(), {0.75f, 0.5f, 0});
  }
  expect_equals_reference(network, 20, 0, given, expected);
}

TEST_P(CudaOnCpuTest, SameBitsInWhateverOrderThreadsCome) {
  RandomNetwork network = random_network({.hidden_size = 96,
                                          .widths = {40, 16, 25},
                                          .shared_width = 30,
                                          .top_k = 2,
                                          .router = Router::Kind::kTanhMlp,
                                          .has_absent_biases = true});
  network.network.rule = {.softmax = RoutingRule::Softmax::kAfterTopK, .weights = RoutingRule::Weights::kScores};
  const std::vector<char> input = network.inputs(40, 96);
  for (const Strategy strategy : kStrategies) {
    const Options options{.strategy = strategy, .most_tokens = 100};
    const std::vector<float> forward = enqueued(network, input, 40, 0, {}, options);
    cuda_on_cpu::is_reversed = true;
    const std::vector<float> backward = enqueued(network, input, 40, 0, {}, options);
    cuda_on_cpu::is_reversed = false;
    EXPECT_EQ(forward, backward) << static_cast<int>(strategy);
  }
}

TEST_P(CudaOnCpuTest, RefusesWhatCannotBe) {
  RandomNetwork network = random_network({.widths = {16, 16}, .top_k = 1});
  for (const int64_t most_tokens : {0, 65536}) {
    EXPECT_THAT([&] { make_moe_ffn(network.network, {.most_tokens = most_tokens}); },
                testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr("most_tokens")));
  }
  const std::vector<char> input = network.inputs(1, 64);
  EXPECT_THAT([&] { enqueued(network, input, 1, 0, {}, {}); },
              testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr("experts")));
  EXPECT_THAT(
      [&] {
        enqueued(network, input, 1, -1, {{0}, {1}}, {});
      },
      testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr("input_stride 63")));
}

INSTANTIATE_TEST_SUITE_P(Dtypes, CudaOnCpuTest, testing::Values(Dtype::kFloat32, Dtype::kBFloat16),
                         [](const testing::TestParamInfo<Dtype>& info) {
                           return info.param == Dtype::kFloat32 ? "float32" : "bfloat16";
                         });

// Whoever writes a kernel with these mistakes shall see them here.
__global__ void wait_alone(int* value) {
  if (threadIdx.x == 0) __syncthreads();
  *value = 1;
}
__global__ void leave_copies(uint4* value) { copy_async(value, value); }

TEST(CudaOnCpuDeathTest, MistakesEndTheProgram) {
  int value = 0;
  EXPECT_DEATH(launch(wait_alone, dim3(1), 64, 0, nullptr, &value), "some threads wait where others never come");
  uint4 chunk{};
  EXPECT_DEATH(launch(leave_copies, dim3(1), 1, 0, nullptr, &chunk), "copies on their way");
}

}  // namespace
}  // namespace moebench::kernels::cuda
