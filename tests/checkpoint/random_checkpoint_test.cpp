// The program that writes random checkpoints, run as a user would.
#include <cstdlib>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "harness/checkpoint/checkpoint.h"
#include "tests/fixtures/temporary_folder.h"

namespace moebench {
namespace {

class RandomCheckpointTest : public testing::Test {
 protected:
  std::filesystem::path write(const std::string& name, const std::string& arguments) const {
    const std::filesystem::path out = folder_ / name;
    const std::string command =
        std::string("'" MOEBENCH_RANDOM_CHECKPOINT "' --out '") + out.string() + "' " + arguments;
    EXPECT_EQ(std::system((command + " 2>/dev/null").c_str()), 0) << command;
    return out;
  }

  TemporaryFolder folder_;
};

TEST_F(RandomCheckpointTest, WritesWeightsOfASaneScaleInTheShapeAskedFor) {
  const auto checkpoint = open_checkpoint(write("model", "--intermediate-size 4096"));
  EXPECT_EQ(checkpoint->config().intermediate_size, 4096);
  const at::Tensor weights = checkpoint->load("model.layers.1.mlp.up_proj.weight", at::kDouble);
  const double standard_error = 0.02 / std::sqrt(static_cast<double>(weights.numel()));
  EXPECT_NEAR(weights.mean().item<double>(), 0, 5 * standard_error);
  EXPECT_NEAR(weights.std().item<double>(), 0.02, 5 * standard_error);
  EXPECT_TRUE(at::equal(checkpoint->load("model.norm.weight", at::kFloat), at::ones({64})));
}

TEST_F(RandomCheckpointTest, SameSeedGivesTheSameModel) {
  const auto hash = [](const std::filesystem::path& path) { return open_checkpoint(path)->content_hash(); };
  const std::string first = hash(write("first", "--seed 7"));
  EXPECT_EQ(hash(write("again", "--seed 7")), first);
  EXPECT_NE(hash(write("other", "--seed 8")), first);
}

}  // namespace
}  // namespace moebench
