// bfloat16 is the upper half of a float.
#pragma once

#include <bit>
#include <cstdint>

#include "kernels/moe_ffn.h"

namespace moebench::kernels {

inline float float_of(uint16_t bfloat16) { return std::bit_cast<float>(static_cast<uint32_t>(bfloat16) << 16); }

inline float element(const void* values, int64_t index, Dtype dtype) {
  return dtype == Dtype::kFloat32 ? static_cast<const float*>(values)[index]
                                  : float_of(static_cast<const uint16_t*>(values)[index]);
}

// To the nearest, ties to even; not-a-number stays one.
inline uint16_t bfloat16_of(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffff) > 0x7f800000) return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

}  // namespace moebench::kernels
