#include "harness/model/attention.h"

#include <cmath>

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

namespace moebench {
namespace {

// The definition, in double: all scores, those out of sight at -infinity, softmax.
at::Tensor definition(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values, int64_t window) {
  const int64_t num_queries = queries.size(2), num_keys = keys.size(2), group = queries.size(1) / keys.size(1);
  const at::Tensor scores = at::matmul(queries.to(at::kDouble), keys.to(at::kDouble).repeat_interleave(group, 1).mT()) /
                            std::sqrt(static_cast<double>(queries.size(3)));
  at::Tensor hidden = at::zeros({num_queries, num_keys}, at::kBool);
  for (int64_t query = 0; query < num_queries; ++query) {
    const int64_t position = num_keys - num_queries + query;
    for (int64_t key = 0; key < num_keys; ++key) {
      if (key > position || key <= position - window) hidden[query][key] = true;
    }
  }
  const at::Tensor weights = scores.masked_fill(hidden, -INFINITY).softmax(-1);
  return at::matmul(weights, values.to(at::kDouble).repeat_interleave(group, 1));
}

struct AttentionCase {
  int64_t num_queries, num_keys;
  int64_t window;
};

class AttentionTest : public testing::TestWithParam<AttentionCase> {
 protected:
  at::Tensor random(int64_t heads, int64_t tokens) {  // as a layer makes them: heads of a token beside one another
    return at::randn({2, tokens, heads, 16}, generator_).transpose(1, 2);
  }
  at::Generator generator_ = at::detail::createCPUGenerator(1);
};

TEST_P(AttentionTest, EqualsTheDefinitionInDouble) {
  const AttentionCase test = GetParam();
  const at::Tensor queries = random(6, test.num_queries), keys = random(2, test.num_keys);
  const at::Tensor values = random(2, test.num_keys);
  const at::Tensor expected = definition(queries, keys, values, test.window);
  for (const bool wants_gradient : {false, true}) {
    const at::Tensor result =
        causal_attention(queries.detach().requires_grad_(wants_gradient), keys, values, test.window);
    EXPECT_LT((result - expected).abs().max().item<double>(), 2e-6) << "wants gradient: " << wants_gradient;
  }
}

constexpr int64_t kNoWindow = 1 << 30;
INSTANTIATE_TEST_SUITE_P(Attention, AttentionTest,
                         testing::Values(AttentionCase{1, 1, kNoWindow}, AttentionCase{1, 50, kNoWindow},
                                         AttentionCase{1, 50, 7}, AttentionCase{60, 60, kNoWindow},
                                         AttentionCase{60, 60, 60}, AttentionCase{60, 60, 59}, AttentionCase{60, 60, 1},
                                         AttentionCase{20, 60, kNoWindow}, AttentionCase{20, 60, 5},
                                         AttentionCase{300, 300, kNoWindow}, AttentionCase{300, 300, 100},
                                         AttentionCase{300, 300, 299}, AttentionCase{130, 300, kNoWindow},
                                         AttentionCase{128, 200, 150}),
                         [](const auto& info) {
                           return std::to_string(info.param.num_queries) + "QueriesOf" +
                                  std::to_string(info.param.num_keys) + "Window" + std::to_string(info.param.window);
                         });

}  // namespace
}  // namespace moebench
