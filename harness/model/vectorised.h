// Loops over rows that are as long as a vocabulary or a text: written for the compiler to vectorise, once for each
// generation of processors.
#pragma once

#include <bit>
#include <cstdint>

#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)
#define MOEBENCH_VECTORISED __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define MOEBENCH_VECTORISED
#endif

namespace moebench {

constexpr int64_t kLanes = 16;

// exp(x) for x <= 0 to 1e-7 relative: 2^n from the exponent bits, times a Taylor polynomial of the remainder, which is
// at most ln(2) / 2. Below -87 the result would be subnormal and does not matter; not a number stays so.
inline float exp_of_negative(float x) {
  constexpr float kRounder = 12582912;  // 1.5 * 2^23: adding it leaves an integer in the low bits
  x = x < -87 ? -87 : x;
  const float shifted = x * 1.44269504f + kRounder;
  const float n = shifted - kRounder;
  const float r = (x - n * 0.693359375f) - n * -2.12194440e-4f;  // ln(2) in two parts, the first exact when scaled
  float power = 1.0f / 5040;
  power = power * r + 1.0f / 720;
  power = power * r + 1.0f / 120;
  power = power * r + 1.0f / 24;
  power = power * r + 1.0f / 6;
  power = power * r + 0.5f;
  power = power * r + 1;
  power = power * r + 1;
  return std::bit_cast<float>(std::bit_cast<uint32_t>(power) + (std::bit_cast<uint32_t>(shifted) << 23));
}

}  // namespace moebench
