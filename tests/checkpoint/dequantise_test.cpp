#include "harness/checkpoint/dequantise.h"

#include <cstring>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "harness/content_hash.h"

namespace moebench {
namespace {

constexpr int64_t kNumBlocks = 64;

struct Case {
  GgmlType type;
  std::vector<int64_t> halves;  // positions of the fp16 numbers in a block
  const char* sha256;           // of 64 random blocks' fp32 values, by gguf-py 0.19 (gguf.quants.dequantize)
};

void PrintTo(const Case& test_case, std::ostream* out) { *out << block_layout(test_case.type).name; }

// Bytes from a linear congruential generator (Knuth's MMIX constants), with the fp16 numbers kept finite.
std::string random_blocks(const Case& test_case) {
  const int64_t block_bytes = block_layout(test_case.type).bytes;
  std::string bytes;
  uint64_t state = 1;
  for (int64_t i = 0; i < kNumBlocks * block_bytes; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    bytes += static_cast<char>(state >> 56);
  }
  for (int64_t block = 0; block < kNumBlocks; ++block) {
    for (const int64_t half : test_case.halves) bytes[static_cast<size_t>(block * block_bytes + half + 1)] &= '\xBF';
  }
  return bytes;
}

at::Tensor decode(const Case& test_case, at::ScalarType dtype) {
  return dequantise(test_case.type, random_blocks(test_case), {kNumBlocks * block_layout(test_case.type).elements},
                    dtype);
}

class DequantiseTest : public testing::TestWithParam<Case> {};

TEST_P(DequantiseTest, RandomBlocksDecodeAsGgufPyDecodesThem) {
  const at::Tensor values = decode(GetParam(), at::kFloat);
  EXPECT_EQ(content_hash(std::string_view(static_cast<const char*>(values.const_data_ptr()), values.nbytes())),
            GetParam().sha256);
}

TEST_P(DequantiseTest, NarrowTypesAreTheRoundedFloats) {
  const at::Tensor values = decode(GetParam(), at::kFloat);
  EXPECT_TRUE(at::equal(decode(GetParam(), at::kBFloat16), values.to(at::kBFloat16)));
  EXPECT_TRUE(at::equal(decode(GetParam(), at::kHalf), values.to(at::kHalf)));
}

INSTANTIATE_TEST_SUITE_P(
    Formats, DequantiseTest,
    testing::Values(Case{GgmlType::kQ8_0, {0}, "bc0f260c3cbd7e4ee81c277dae87137f2bb37e5ce85d8e3cd740a49f542675c0"},
                    Case{GgmlType::kQ4_0, {0}, "3ef0d3296ae54113061ecd2cae8ad3ddd595e579f4f277ed6a4660aa59abc01c"},
                    Case{GgmlType::kQ4_1, {0, 2}, "f34a5564c784eef48bb41aa68e5ba682b96bb2f73661a9884b12517feb5ec6d2"},
                    Case{GgmlType::kQ5_0, {0}, "585c5362b83eb1ef9dea26a9b9be47ccbf7fb8ebe75f1b7017806dd8feeebce0"},
                    Case{GgmlType::kQ5_1, {0, 2}, "8dba97118adf451be27f9af552af90d7343c11e7a489c186c3f065878c21d671"},
                    Case{GgmlType::kQ4_K, {0, 2}, "b8c8e2dffaacfaf94f038fa46dc113faab1b0aabfa40e4636fd131721434ceff"},
                    Case{GgmlType::kQ5_K, {0, 2}, "bce88929e67abac5225dd19a317948a6bcf3dc62af121c9abfae74ee6b618b9d"},
                    Case{GgmlType::kQ6_K, {208}, "1ff818bdce2c14125b7b1dbc9e26fcfb926ab86a9b341cc20c6d68d6489f3a68"}),
    [](const auto& info) { return std::string(block_layout(info.param.type).name); });

float half(const uint8_t* bytes) {
  at::Half value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

// Twins: one element at a time, straight from the description of the format.

int bit(const uint8_t* bytes, int position) { return bytes[position / 8] >> (position % 8) & 1; }

// Six bits of sub-block s; kind 0 is the scale, 1 the minimum.
int six_bits(const uint8_t* packed, int s, int kind) {
  if (s < 4) return packed[s + 4 * kind] & 63;
  const int low = kind == 0 ? packed[s + 4] & 15 : packed[s + 4] >> 4;
  return low + 16 * (packed[s - 4 + 4 * kind] >> 6);
}

float q4_k(const uint8_t* block, int element) {
  const int s = element / 32;
  const uint8_t byte = block[16 + 32 * (s / 2) + element % 32];
  const int quant = s % 2 == 0 ? byte % 16 : byte / 16;
  return half(block) * six_bits(block + 4, s, 0) * quant - half(block + 2) * six_bits(block + 4, s, 1);
}

float q5_k(const uint8_t* block, int element) {
  const int s = element / 32;
  const uint8_t byte = block[48 + 32 * (s / 2) + element % 32];
  const int quant = (s % 2 == 0 ? byte % 16 : byte / 16) + 16 * bit(block + 16 + element % 32, s);
  return half(block) * six_bits(block + 4, s, 0) * quant - half(block + 2) * six_bits(block + 4, s, 1);
}

float q6_k(const uint8_t* block, int element) {
  const int part = element / 128, within = element % 128, quarter = within / 32, i = within % 32;
  const uint8_t byte = block[64 * part + 32 * (quarter % 2) + i];
  const int low = quarter < 2 ? byte % 16 : byte / 16;
  const uint8_t* pair = block + 128 + 32 * part + i;
  const int quant = low + 16 * bit(pair, 2 * quarter) + 32 * bit(pair, 2 * quarter + 1) - 32;
  return half(block + 208) * static_cast<int8_t>(block[192 + element / 16]) * quant;
}

void expect_twin(const Case& test_case, float (*twin)(const uint8_t*, int)) {
  const BlockLayout& layout = block_layout(test_case.type);
  const std::string blocks = random_blocks(test_case);
  const at::Tensor values = decode(test_case, at::kFloat);
  const auto actual = values.accessor<float, 1>();
  for (int64_t i = 0; i < values.numel(); ++i) {
    const auto* block = reinterpret_cast<const uint8_t*>(blocks.data()) + i / layout.elements * layout.bytes;
    ASSERT_EQ(actual[i], twin(block, static_cast<int>(i % layout.elements))) << layout.name << " element " << i;
  }
}

TEST(KQuantTest, ElementsAreWhereTheDescriptionPutsThem) {
  expect_twin({GgmlType::kQ4_K, {0, 2}, ""}, q4_k);
  expect_twin({GgmlType::kQ5_K, {0, 2}, ""}, q5_k);
  expect_twin({GgmlType::kQ6_K, {208}, ""}, q6_k);
}

TEST(PlainFloatTest, EveryHalfAndBfloat16IsExact) {
  std::string bytes(2 * 65536, '\0');
  for (int bits = 0; bits < 65536; ++bits) {
    bytes[2 * bits] = static_cast<char>(bits);
    bytes[2 * bits + 1] = static_cast<char>(bits >> 8);
  }
  for (const auto& [type, dtype] : {std::pair{GgmlType::kF16, at::kHalf}, std::pair{GgmlType::kBF16, at::kBFloat16}}) {
    const at::Tensor expected = at::from_blob(bytes.data(), {65536}, dtype).to(at::kFloat);
    const at::Tensor actual = dequantise(type, bytes, {65536}, at::kFloat);
    EXPECT_TRUE(at::allclose(actual, expected, 0, 0, /*equal_nan=*/true)) << dtype;
  }
}

// Large enough to be shared among threads, and no whole number of chunks. Every block has scale 1 and one value.
TEST(DequantiseParallelTest, EveryBlockOfALargeTensorIsDecodedInItsPlace) {
  constexpr int64_t kBlocks = 99'991;
  std::string bytes;
  for (int64_t block = 0; block < kBlocks; ++block) {
    bytes.append("\x00\x3C", 2).append(32, static_cast<char>(block % 127));
  }
  const at::Tensor values = dequantise(GgmlType::kQ8_0, bytes, {kBlocks, 32}, at::kFloat);
  const at::Tensor expected = at::arange(kBlocks).remainder(127).to(at::kFloat).unsqueeze(1).expand({kBlocks, 32});
  EXPECT_TRUE(at::equal(values, expected));
}

TEST(DequantiseSizeTest, RefusesBytesThatAreNotTheShape) {
  EXPECT_THROW(dequantise(GgmlType::kQ8_0, std::string(33, '\0'), {32}, at::kFloat), std::invalid_argument);
  EXPECT_THROW(dequantise(GgmlType::kQ8_0, std::string(34, '\0'), {31}, at::kFloat), std::invalid_argument);
}

}  // namespace
}  // namespace moebench
