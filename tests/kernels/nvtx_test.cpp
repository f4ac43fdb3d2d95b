// What a profiler sees of a call, through a tool of our own; alone in its program, for NVTX looks for a tool once.
#include <cstdlib>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/cuda/moe_ffn.h"
#include "kernels/variants.h"
#include "tests/fixtures/temporary_folder.h"
#include "tests/kernels/random_network.h"

namespace moebench::kernels {
namespace {

using testing::ElementsAre;

class NvtxTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<TemporaryFolder>();
    setenv("NVTX_INJECTION64_PATH", MOEBENCH_NVTX_LISTENER, 1);
    setenv("NVTX_LISTENER_FILE", trace().c_str(), 1);
  }
  static void TearDownTestSuite() { folder_.reset(); }

  // "+domain name tokens" where a range begins, "-" where one ends: of a call of three tokens.
  template <class Make>
  static std::vector<std::string> ranges_of_a_call(const Make& make_kernel) {
    RandomNetwork network({.widths = {16, 16}, .top_k = 1, .router = Router::Kind::kLinear});
    const auto kernel = make_kernel(network.network);
    const std::vector<char> input = network.inputs(3, 64);
    std::vector<char> output(input.size());
    const size_t before = lines().size();
    kernel->run(
        {.num_tokens = 3, .input = input.data(), .input_stride = 64, .output = output.data(), .output_stride = 64});
    const std::vector<std::string> all = lines();
    return {all.begin() + static_cast<ptrdiff_t>(before), all.end()};
  }

 private:
  static std::string trace() { return (folder_->path() / "trace").string(); }
  static std::vector<std::string> lines() {
    std::ifstream file(trace());
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
  }

  static inline std::unique_ptr<TemporaryFolder> folder_;
};

TEST_F(NvtxTest, AToolSeesEveryStageOfACallInOneDomain) {
  EXPECT_THAT(ranges_of_a_call(moe_ffn_variant("fused").create),
              ElementsAre("+moebench moe_ffn 3", "+moebench route 3", "-", "+moebench gate_up 3", "-",
                          "+moebench down 3", "-", "-"));
}

// Of the host's code for a GPU, whose device code the CPU runs here.
TEST_F(NvtxTest, AToolSeesTheStagesOfACallOnADevice) {
  const auto ranges = [](cuda::Strategy strategy) {
    return ranges_of_a_call(
        [&](const MoeFfn& network) { return cuda::make_moe_ffn(network, {.strategy = strategy, .most_tokens = 64}); });
  };
  EXPECT_THAT(ranges(cuda::Strategy::kDecode), ElementsAre("+moebench moe_ffn 3", "+moebench route 3", "-",
                                                           "+moebench gate_up 3", "-", "+moebench down 3", "-", "-"));
  EXPECT_THAT(ranges(cuda::Strategy::kPrefill),
              ElementsAre("+moebench moe_ffn 3", "+moebench route 3", "-", "+moebench gate_up 3", "-",
                          "+moebench down 3", "-", "+moebench combine 3", "-", "-"));
  EXPECT_THAT(
      ranges(cuda::Strategy::kComposite),
      ElementsAre("+moebench moe_ffn 3", "+moebench route 3", "-", "+moebench gather 3", "-", "+moebench gate_up 3",
                  "-", "+moebench activate 3", "-", "+moebench down 3", "-", "+moebench combine 3", "-", "-"));
}

}  // namespace
}  // namespace moebench::kernels
