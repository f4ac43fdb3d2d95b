#include "harness/checkpoint/gguf_layout.h"

#include <cmath>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace moebench {
namespace {

constexpr int64_t kHeads = 3, kHeadDim = 8, kPairs = kHeadDim / 2;

double angle(int64_t pair, int64_t position) {
  return static_cast<double>(position) * std::pow(10000.0, -2.0 * static_cast<double>(pair) / kHeadDim);
}

// Rotates the pairs (first(j), second(j)) of every head of states [kHeads * kHeadDim].
at::Tensor rotate(const at::Tensor& states, int64_t position, int64_t stride_of_pair, int64_t stride_within_pair) {
  at::Tensor rotated = states.clone();
  const auto in = states.accessor<double, 1>();
  auto out = rotated.accessor<double, 1>();
  for (int64_t head = 0; head < kHeads; ++head) {
    for (int64_t pair = 0; pair < kPairs; ++pair) {
      const int64_t first = head * kHeadDim + pair * stride_of_pair;
      const int64_t second = first + stride_within_pair;
      const double c = std::cos(angle(pair, position)), s = std::sin(angle(pair, position));
      out[first] = in[first] * c - in[second] * s;
      out[second] = in[first] * s + in[second] * c;
    }
  }
  return rotated;
}

at::Tensor rotate_adjacent(const at::Tensor& states, int64_t position) { return rotate(states, position, 2, 1); }
at::Tensor rotate_halves(const at::Tensor& states, int64_t position) { return rotate(states, position, 1, kPairs); }

at::Tensor random(at::IntArrayRef shape, uint64_t seed) {
  return at::randn(shape, at::make_generator<at::CPUGeneratorImpl>(seed), at::kDouble);
}

// Attention only sees q · k, which both conventions must agree on at every pair of positions.
TEST(GgufLayoutTest, HalfSplitRotationOfReorderedRowsEqualsAdjacentRotationOfStoredRows) {
  const at::Tensor query = random({kHeads * kHeadDim, 5}, 1), key = random({kHeads * kHeadDim, 5}, 2);
  const at::Tensor input = random({5}, 3);
  const at::Tensor half_query = to_half_split_rows(query, kHeads), half_key = to_half_split_rows(key, kHeads);
  for (const int64_t position : {0, 1, 17}) {
    const at::Tensor stored = rotate_adjacent(query.mv(input), position) * rotate_adjacent(key.mv(input), 3);
    const at::Tensor half = rotate_halves(half_query.mv(input), position) * rotate_halves(half_key.mv(input), 3);
    EXPECT_TRUE(at::allclose(stored.view({kHeads, -1}).sum(1), half.view({kHeads, -1}).sum(1), 1e-12, 1e-12));
  }
}

TEST(GgufLayoutTest, RotatedRowsAreTheSameRowsInTheOtherOrder) {
  const at::Tensor rows = random({kHeads * kHeadDim, 5}, 4), input = random({5}, 5);
  const at::Tensor expected = to_half_split_rows(rotate_adjacent(rows.mv(input), 7), kHeads);
  const at::Tensor actual = rotate_halves(to_half_split_rows(rows, kHeads).mv(input), 7);
  EXPECT_TRUE(at::allclose(actual, expected, 1e-12, 1e-12));
}

TEST(GgufLayoutTest, BiasFollowsItsRows) {
  const at::Tensor weight = random({kHeads * kHeadDim, 1}, 6);
  EXPECT_TRUE(at::equal(to_half_split_rows(weight.squeeze(1), kHeads), to_half_split_rows(weight, kHeads).squeeze(1)));
}

TEST(GgufLayoutTest, NamesAreTranslated) {
  EXPECT_EQ(hugging_face_name("token_embd.weight"), "model.embed_tokens.weight");
  EXPECT_EQ(hugging_face_name("output.weight"), "lm_head.weight");
  EXPECT_EQ(hugging_face_name("blk.12.attn_q_norm.weight"), "model.layers.12.self_attn.q_norm.weight");
  for (const char* name :
       {"blk.12.ffn_gate_inp.weight", "blk..attn_q.weight", "blk.x.attn_q.weight", "blk.1", "other"}) {
    EXPECT_EQ(hugging_face_name(name), std::nullopt) << name;
  }
}

}  // namespace
}  // namespace moebench
