// The "K" formats: super-blocks of 256 with quantised scales inside. As in block_decoders.cpp, every product is exact.
#include <array>

#include "harness/checkpoint/block_decoders.h"

namespace moebench {
namespace {

constexpr int kSuperBlock = 256;
constexpr int kSubBlock = 32;
constexpr int kSubBlocks = kSuperBlock / kSubBlock;

struct SubBlock {
  float scale, minimum;
};

// Q4_K and Q5_K begin alike: fp16 scale of the scales, fp16 scale of the minima, 12 bytes with a six-bit scale and a
// six-bit minimum for each of 8 sub-blocks. The first four scales and minima are the low six bits of bytes 0-3 and 4-7;
// the last four have their low nibbles in bytes 8-11 and their high pairs in the two spare bits of the former.
std::array<SubBlock, kSubBlocks> sub_blocks(const uint8_t* block) {
  const float scale = half_at(block);
  const float minimum = half_at(block + 2);
  const uint8_t* packed = block + 4;
  std::array<SubBlock, kSubBlocks> result;
  for (int i = 0; i < 4; ++i) {
    result[i] = {scale * static_cast<float>(packed[i] & 63), minimum * static_cast<float>(packed[i + 4] & 63)};
    result[i + 4] = {scale * static_cast<float>((packed[i + 8] & 15) | (packed[i] >> 6) << 4),
                     minimum * static_cast<float>((packed[i + 8] >> 4) | (packed[i + 4] >> 6) << 4)};
  }
  return result;
}

}  // namespace

// 128 bytes of nibbles: of every 32 bytes, the low nibbles are one sub-block and the high nibbles the next.
void decode_q4_k(const uint8_t* blocks, int64_t num_blocks, float* values) {
  for (; num_blocks > 0; --num_blocks, blocks += 144) {
    const auto sub = sub_blocks(blocks);
    const uint8_t* nibbles = blocks + 16;
    for (int pair = 0; pair < kSubBlocks; pair += 2, nibbles += kSubBlock, values += 2 * kSubBlock) {
      const auto [low_scale, low_minimum] = sub[pair];
      const auto [high_scale, high_minimum] = sub[pair + 1];
      for (int i = 0; i < kSubBlock; ++i) {
        values[i] = low_scale * static_cast<float>(nibbles[i] & 15) - low_minimum;
        values[kSubBlock + i] = high_scale * static_cast<float>(nibbles[i] >> 4) - high_minimum;
      }
    }
  }
}

// As Q4_K, with 32 bytes before the nibbles: bit b of byte i is the fifth bit of element i of sub-block b.
void decode_q5_k(const uint8_t* blocks, int64_t num_blocks, float* values) {
  for (; num_blocks > 0; --num_blocks, blocks += 176) {
    const auto sub = sub_blocks(blocks);
    const uint8_t* fifth_bits = blocks + 16;
    const uint8_t* nibbles = blocks + 48;
    for (int pair = 0; pair < kSubBlocks; pair += 2, nibbles += kSubBlock, values += 2 * kSubBlock) {
      const auto [low_scale, low_minimum] = sub[pair];
      const auto [high_scale, high_minimum] = sub[pair + 1];
      for (int i = 0; i < kSubBlock; ++i) {
        const int low = (nibbles[i] & 15) | (fifth_bits[i] >> pair & 1) << 4;
        const int high = (nibbles[i] >> 4) | (fifth_bits[i] >> (pair + 1) & 1) << 4;
        values[i] = low_scale * static_cast<float>(low) - low_minimum;
        values[kSubBlock + i] = high_scale * static_cast<float>(high) - high_minimum;
      }
    }
  }
}

// 128 bytes of low nibbles, 64 bytes of high bit pairs, 16 signed scales (one for 16 elements), fp16 scale of the
// scales. Each half of 128 elements takes 64 bytes of nibbles and 32 of pairs: elements 0-31 and 32-63 are the low
// nibbles, 64-95 and 96-127 the high ones; byte i of the pairs holds those of elements i, 32 + i, 64 + i, 96 + i.
void decode_q6_k(const uint8_t* blocks, int64_t num_blocks, float* values) {
  for (; num_blocks > 0; --num_blocks, blocks += 210) {
    const float scale = half_at(blocks + 208);
    for (int half = 0; half < 2; ++half, values += kSuperBlock / 2) {
      const uint8_t* nibbles = blocks + 64 * half;
      const uint8_t* pairs = blocks + 128 + 32 * half;
      const auto* scales = reinterpret_cast<const int8_t*>(blocks + 192 + 8 * half);
      for (int quarter = 0; quarter < 4; ++quarter) {
        const uint8_t* low = nibbles + 32 * (quarter % 2);
        const int shift = quarter < 2 ? 0 : 4;
        for (int i = 0; i < 32; ++i) {
          const int quant = ((low[i] >> shift & 15) | (pairs[i] >> (2 * quarter) & 3) << 4) - 32;
          values[32 * quarter + i] =
              scale * static_cast<float>(scales[2 * quarter + i / 16]) * static_cast<float>(quant);
        }
      }
    }
  }
}

}  // namespace moebench
