// Formats with one scale per block of 32, and plain floats. Products of a scale (11 significant bits) and an integer
// are exact in fp32, so only the addition of a minimum rounds and the results do not depend on fused multiply-add.
#include "harness/checkpoint/block_decoders.h"

#include <cstring>

#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

namespace moebench {
namespace {

constexpr int kBlock = 32;

// Bit j says whether element j has 16 on top of its nibble.
uint32_t high_bits_at(const uint8_t* bytes) {
  uint32_t bits;
  std::memcpy(&bits, bytes, sizeof bits);
  return bits;
}

// Low nibbles are elements 0 to 15, high nibbles 16 to 31.
template <class Map>
void decode_nibbles(const uint8_t* nibbles, float* values, Map map) {
  for (int i = 0; i < kBlock / 2; ++i) values[i] = map(nibbles[i] & 15);
  for (int i = 0; i < kBlock / 2; ++i) values[kBlock / 2 + i] = map(nibbles[i] >> 4);
}

template <class Map>
void decode_five_bits(const uint8_t* nibbles, uint32_t high_bits, float* values, Map map) {
  for (int i = 0; i < kBlock / 2; ++i) {
    values[i] = map((nibbles[i] & 15) | ((high_bits >> i & 1) << 4));
    values[kBlock / 2 + i] = map((nibbles[i] >> 4) | ((high_bits >> (kBlock / 2 + i) & 1) << 4));
  }
}

}  // namespace

float half_at(const uint8_t* bytes) {
  uint16_t bits;
  std::memcpy(&bits, bytes, sizeof bits);
  return c10::detail::fp16_ieee_to_fp32_value(bits);
}

void decode_f32(const uint8_t* blocks, int64_t num_blocks, float* values) {
  std::memcpy(values, blocks, static_cast<size_t>(num_blocks) * sizeof(float));
}

void decode_f16(const uint8_t* blocks, int64_t num_blocks, float* values) {
  for (int64_t i = 0; i < num_blocks; ++i) values[i] = half_at(blocks + 2 * i);
}

void decode_bf16(const uint8_t* blocks, int64_t num_blocks, float* values) {
  for (int64_t i = 0; i < num_blocks; ++i) {
    uint16_t bits;
    std::memcpy(&bits, blocks + 2 * i, sizeof bits);
    values[i] = c10::detail::f32_from_bits(bits);
  }
}

// fp16 scale; 16 bytes of nibbles: scale * (nibble - 8).
void decode_q4_0(const uint8_t* blocks, int64_t num_blocks, float* values) {
  for (; num_blocks > 0; --num_blocks, blocks += 18, values += kBlock) {
    const float scale = half_at(blocks);
    decode_nibbles(blocks + 2, values, [&](int nibble) { return scale * static_cast<float>(nibble - 8); });
  }
}

// fp16 scale, fp16 minimum; 16 bytes of nibbles: scale * nibble + minimum.
void decode_q4_1(const uint8_t* blocks, int64_t num_blocks, float* values) {
  for (; num_blocks > 0; --num_blocks, blocks += 20, values += kBlock) {
    const float scale = half_at(blocks);
    const float minimum = half_at(blocks + 2);
    decode_nibbles(blocks + 4, values, [&](int nibble) { return scale * static_cast<float>(nibble) + minimum; });
  }
}

// fp16 scale; 4 bytes of fifth bits; 16 bytes of nibbles: scale * (q - 16).
void decode_q5_0(const uint8_t* blocks, int64_t num_blocks, float* values) {
  for (; num_blocks > 0; --num_blocks, blocks += 22, values += kBlock) {
    const float scale = half_at(blocks);
    decode_five_bits(blocks + 6, high_bits_at(blocks + 2), values,
                     [&](int quant) { return scale * static_cast<float>(quant - 16); });
  }
}

// fp16 scale, fp16 minimum; 4 bytes of fifth bits; 16 bytes of nibbles: scale * q + minimum.
void decode_q5_1(const uint8_t* blocks, int64_t num_blocks, float* values) {
  for (; num_blocks > 0; --num_blocks, blocks += 24, values += kBlock) {
    const float scale = half_at(blocks);
    const float minimum = half_at(blocks + 2);
    decode_five_bits(blocks + 8, high_bits_at(blocks + 4), values,
                     [&](int quant) { return scale * static_cast<float>(quant) + minimum; });
  }
}

// fp16 scale; 32 signed bytes.
void decode_q8_0(const uint8_t* blocks, int64_t num_blocks, float* values) {
  for (; num_blocks > 0; --num_blocks, blocks += 34, values += kBlock) {
    const float scale = half_at(blocks);
    for (int i = 0; i < kBlock; ++i) values[i] = scale * static_cast<float>(static_cast<int8_t>(blocks[2 + i]));
  }
}

}  // namespace moebench
