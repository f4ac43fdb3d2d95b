#include "harness/adjustment/teacher_stream.h"

#include <stdexcept>

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "tests/model/memory_checkpoint.h"

namespace moebench {
namespace {

class TeacherStreamTest : public testing::Test {
 protected:
  const at::NoGradGuard no_grad_;
  const MemoryCheckpoint checkpoint_{tiny_llama_config()};
  const CalibrationText text_{.domains = {"one", "two"},
                              .windows = {at::randint(67, {2, 20}, at::detail::createCPUGenerator(1), at::kLong),
                                          at::randint(67, {1, 20}, at::detail::createCPUGenerator(2), at::kLong)}};
  const Precision precision_;
  const MoeShape shape_;
  TeacherStream teacher_{{.checkpoint = checkpoint_, .precision = precision_, .text = &text_, .shape = shape_}};
};

TEST_F(TeacherStreamTest, EveryWindowRunsThroughTheDenseLayers) {
  const LlamaModel model = LlamaModel::load(checkpoint_, precision_);
  std::vector<at::Tensor> expected;
  for (const at::Tensor& windows : text_.windows) {
    for (const at::Tensor& window : windows.unbind(0)) {
      expected.push_back(embed(checkpoint_, window.unsqueeze(0), precision_));
    }
  }
  for (int64_t layer = 0; layer < 2; ++layer) {
    const std::vector<at::Tensor>& streams = teacher_.after_layer(layer);
    ASSERT_EQ(streams.size(), 3u);
    for (size_t window = 0; window < 3; ++window) {
      expected[window] = model.layers()[layer].forward(expected[window]);
      EXPECT_TRUE(streams[window].allclose(expected[window].squeeze(0), 1e-5, 1e-6));
    }
  }
}

TEST_F(TeacherStreamTest, LayersAreAskedForInOrder) { EXPECT_THROW(teacher_.after_layer(1), std::logic_error); }

}  // namespace
}  // namespace moebench
