// Numbers of both dtypes, sixteen bytes at a time.
#pragma once

#include "kernels/cuda/layout.h"

namespace moebench::kernels::cuda {

__device__ inline float to_float(float value) { return value; }
__device__ inline float to_float(BFloat16 value) { return __uint_as_float(static_cast<uint32_t>(value.bits) << 16); }

template <class Element>
__device__ Element rounded(float value);

template <>
__device__ inline float rounded<float>(float value) {
  return value;
}

// To the nearest, ties to even; not-a-number stays one.
template <>
__device__ inline BFloat16 rounded<BFloat16>(float value) {
  const uint32_t bits = __float_as_uint(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return {static_cast<uint16_t>(bits >> 16 | 0x40u)};
  return {static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16)};
}

template <class Element>
constexpr int kChunkElements = static_cast<int>(sizeof(uint4) / sizeof(Element));
template <class Element>
constexpr int kStepElements = static_cast<int>(kStepBytes / sizeof(Element));

__device__ inline void unpack(const uint4& chunk, float (&values)[4]) {
  values[0] = __uint_as_float(chunk.x);
  values[1] = __uint_as_float(chunk.y);
  values[2] = __uint_as_float(chunk.z);
  values[3] = __uint_as_float(chunk.w);
}

__device__ inline void unpack(const uint4& chunk, float (&values)[8]) {
  const uint32_t words[4] = {chunk.x, chunk.y, chunk.z, chunk.w};
#pragma unroll
  for (int word = 0; word < 4; ++word) {
    values[2 * word] = __uint_as_float(words[word] << 16);
    values[2 * word + 1] = __uint_as_float(words[word] & 0xffff0000u);
  }
}

__device__ inline uint4 packed(const float (&values)[4]) {
  return {__float_as_uint(values[0]), __float_as_uint(values[1]), __float_as_uint(values[2]),
          __float_as_uint(values[3])};
}

__device__ inline uint4 packed(const float (&values)[8]) {
  uint32_t words[4];
#pragma unroll
  for (int word = 0; word < 4; ++word) {
    words[word] = rounded<BFloat16>(values[2 * word]).bits |
                  static_cast<uint32_t>(rounded<BFloat16>(values[2 * word + 1]).bits) << 16;
  }
  return {words[0], words[1], words[2], words[3]};
}

__device__ inline float silu(float x) { return x / (1 + expf(-x)); }

__device__ inline float warp_sum(float value) {
#pragma unroll
  for (int distance = kWarp / 2; distance > 0; distance /= 2) value += __shfl_xor_sync(~0u, value, distance);
  return value;
}

__device__ inline float warp_max(float value) {
#pragma unroll
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    value = fmaxf(value, __shfl_xor_sync(~0u, value, distance));
  }
  return value;
}

}  // namespace moebench::kernels::cuda
