#include "harness/scoring/greedy.h"

#include <stdexcept>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/model/memory_checkpoint.h"

namespace moebench {
namespace {

class GreedyTest : public testing::Test {
 protected:
  const LlamaModel model_ = LlamaModel::load(MemoryCheckpoint(tiny_llama_config()), {});
  const std::vector<int64_t> prompt_ = {5, 60, 33, 12};
};

TEST_F(GreedyTest, EqualsTheArgmaxOfFullPasses) {
  std::vector<int64_t> text = prompt_;
  for (int64_t step = 0; step < 20; ++step) {
    const at::Tensor hidden = model_.forward(at::tensor(text).unsqueeze(0));
    text.push_back(model_.logits(hidden[0][-1]).argmax().item<int64_t>());
  }
  EXPECT_EQ(generate_greedily(model_, prompt_, 20), std::vector<int64_t>(text.begin() + 4, text.end()));
}

TEST_F(GreedyTest, EndsBeforeTheFirstStopId) {
  const std::vector<int64_t> free = generate_greedily(model_, prompt_, 20);
  const auto first = std::find(free.begin(), free.end(), free[6]);
  EXPECT_EQ(generate_greedily(model_, prompt_, 20, {free[6]}), std::vector<int64_t>(free.begin(), first));
}

TEST_F(GreedyTest, EndsWhenThePositionsAreUsedUp) {
  EXPECT_EQ(generate_greedily(model_, prompt_, 1000).size(), 96u - 4 + 1);
}

TEST_F(GreedyTest, RefusesAnEmptyOrForeignPrompt) {
  EXPECT_THROW(generate_greedily(model_, {}, 3), std::invalid_argument);
  EXPECT_THROW(generate_greedily(model_, {67}, 3), std::invalid_argument);
  EXPECT_THROW(generate_greedily(model_, std::vector<int64_t>(97, 1), 3), std::invalid_argument);
}

TEST_F(GreedyTest, AModelThatGivesNotANumberIsRefused) {
  MemoryCheckpoint checkpoint(tiny_llama_config());
  checkpoint.tensor("model.layers.1.mlp.down_proj.weight").fill_(1e38);
  const LlamaModel model = LlamaModel::load(checkpoint, {});
  EXPECT_THROW(generate_greedily(model, prompt_, 3), std::runtime_error);
}

}  // namespace
}  // namespace moebench
