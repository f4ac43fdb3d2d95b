// What a profiler sees of a call, through a tool of our own; alone in its program, for NVTX looks for a tool once.
#include <cstdlib>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/variants.h"
#include "tests/fixtures/temporary_folder.h"
#include "tests/kernels/random_network.h"

namespace moebench::kernels {
namespace {

TEST(NvtxTest, AToolSeesEveryStageOfACallInOneDomain) {
  const TemporaryFolder folder;
  const std::string trace = (folder.path() / "trace").string();
  setenv("NVTX_INJECTION64_PATH", MOEBENCH_NVTX_LISTENER, 1);
  setenv("NVTX_LISTENER_FILE", trace.c_str(), 1);

  RandomNetwork network({.widths = {16, 16}, .top_k = 1, .router = Router::Kind::kLinear});
  const std::vector<char> input = network.inputs(3, 64);
  std::vector<char> output(input.size());
  moe_ffn_variant("fused")
      .create(network.network)
      ->run({.num_tokens = 3, .input = input.data(), .input_stride = 64, .output = output.data(), .output_stride = 64});

  std::ifstream file(trace);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  EXPECT_THAT(lines, testing::ElementsAre("+moebench moe_ffn 3", "+moebench route 3", "-", "+moebench gate_up 3", "-",
                                          "+moebench down 3", "-", "-"));
}

}  // namespace
}  // namespace moebench::kernels
