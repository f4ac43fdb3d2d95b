// The device's calls: pointers of its memory, a stream, a graph. Skipped without a device; what the kernels compute
// there, moe_ffn_test says too.
#include <cuda_runtime_api.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/cuda/moe_ffn.h"
#include "kernels/cuda/variants.h"
#include "tests/kernels/random_network.h"

namespace moebench::kernels::cuda {
namespace {

constexpr int64_t kHiddenSize = 128;

void expect_success(cudaError_t status) { ASSERT_EQ(status, cudaSuccess) << cudaGetErrorString(status); }

struct Buffer {
  explicit Buffer(size_t bytes) : bytes(bytes) { expect_success(cudaMalloc(&data, bytes)); }
  ~Buffer() { cudaFree(data); }
  Buffer(const Buffer&) = delete;
  void upload(const std::vector<char>& values) {
    expect_success(cudaMemcpy(data, values.data(), bytes, cudaMemcpyHostToDevice));
  }
  std::vector<char> download() const {
    std::vector<char> values(bytes);
    expect_success(cudaMemcpy(values.data(), data, bytes, cudaMemcpyDeviceToHost));
    return values;
  }

  size_t bytes;
  void* data = nullptr;
};

class CudaDeviceTest : public testing::TestWithParam<Strategy> {
 protected:
  void SetUp() override {
    if (!why_unavailable().empty()) GTEST_SKIP() << why_unavailable();
  }
};

TEST_P(CudaDeviceTest, AGraphOfACallComputesWhatTheCallDoes) {
  RandomNetwork network({.dtype = Dtype::kBFloat16,
                         .hidden_size = kHiddenSize,
                         .widths = {96, 64, 40, 160},
                         .shared_width = 72,
                         .top_k = 2,
                         .router = Router::Kind::kLinear});
  const auto kernel = make_moe_ffn(network.network, {.strategy = GetParam(), .most_tokens = 256});
  cudaStream_t stream = nullptr;
  expect_success(cudaStreamCreate(&stream));
  for (const int64_t num_tokens : {1, 7, 16, 200, 600}) {
    SCOPED_TRACE(num_tokens);
    const std::vector<char> first = network.inputs(num_tokens, kHiddenSize);
    const std::vector<char> second = network.inputs(num_tokens, kHiddenSize);
    Buffer input(first.size()), output(first.size());
    const auto call_of = [&](const void* from, void* to) {
      return MoeFfnCall{.num_tokens = num_tokens,
                        .input = from,
                        .input_stride = kHiddenSize,
                        .output = to,
                        .output_stride = kHiddenSize};
    };
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t executable = nullptr;
    expect_success(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
    kernel->enqueue(call_of(input.data, output.data), stream);
    expect_success(cudaStreamEndCapture(stream, &graph));
    expect_success(cudaGraphInstantiate(&executable, graph, 0));
    for (const std::vector<char>& values : {first, second}) {
      input.upload(values);
      expect_success(cudaGraphLaunch(executable, stream));
      expect_success(cudaStreamSynchronize(stream));
      std::vector<char> expected(values.size());
      kernel->run(call_of(values.data(), expected.data()));
      EXPECT_EQ(output.download(), expected);
    }
    cudaGraphExecDestroy(executable);
    cudaGraphDestroy(graph);
  }
  cudaStreamDestroy(stream);
}

TEST_P(CudaDeviceTest, MoreMemoryThanThereIsIsRefusedByName) {
  RandomNetwork network({.hidden_size = 4096, .widths = std::vector<int64_t>(64, 1), .top_k = 64});
  if (GetParam() == Strategy::kDecode) GTEST_SKIP() << "needs no memory for many tokens";
  EXPECT_THAT([&] { make_moe_ffn(network.network, {.strategy = GetParam(), .most_tokens = 65535}); },
              testing::ThrowsMessage<std::runtime_error>(testing::HasSubstr("most_tokens")));
}

std::string strategy_name(const testing::TestParamInfo<Strategy>& info) {
  switch (info.param) {
    case Strategy::kComposite:
      return "composite";
    case Strategy::kPrefill:
      return "prefill";
    case Strategy::kDecode:
      return "decode";
    case Strategy::kAuto:
      break;
  }
  return "auto";
}

INSTANTIATE_TEST_SUITE_P(Strategies, CudaDeviceTest,
                         testing::Values(Strategy::kComposite, Strategy::kPrefill, Strategy::kDecode, Strategy::kAuto),
                         strategy_name);

}  // namespace
}  // namespace moebench::kernels::cuda
