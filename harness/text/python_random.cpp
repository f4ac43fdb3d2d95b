#include "harness/text/python_random.h"

#include <algorithm>
#include <bit>
#include <stdexcept>

namespace moebench {

// CPython seeds with the 32-bit limbs of the integer, lowest first, one of them at least.
PythonRandom::PythonRandom(uint64_t seed) {
  std::vector<uint32_t> key = {static_cast<uint32_t>(seed)};
  if (seed >> 32 != 0) key.push_back(static_cast<uint32_t>(seed >> 32));
  seed_by_array(key);
}

// init_by_array of Matsumoto and Nishimura's mt19937ar.c.
void PythonRandom::seed_by_array(const std::vector<uint32_t>& key) {
  state_[0] = 19650218u;
  for (uint32_t index = 1; index < kSize; ++index) {
    state_[index] = 1812433253u * (state_[index - 1] ^ state_[index - 1] >> 30) + index;
  }
  size_t index = 1, limb = 0;
  const auto mixed = [&](uint32_t factor) {
    return state_[index] ^ (state_[index - 1] ^ state_[index - 1] >> 30) * factor;
  };
  const auto advance = [&] {
    if (++index < kSize) return;
    state_[0] = state_[kSize - 1];
    index = 1;
  };
  for (size_t step = 0; step < kSize; ++step) {  // the key is shorter than the state
    state_[index] = mixed(1664525u) + key[limb] + static_cast<uint32_t>(limb);
    limb = (limb + 1) % key.size();
    advance();
  }
  for (size_t step = 1; step < kSize; ++step) {
    state_[index] = mixed(1566083941u) - static_cast<uint32_t>(index);
    advance();
  }
  state_[0] = 0x80000000u;
}

void PythonRandom::refill() {
  for (size_t index = 0; index < kSize; ++index) {
    const uint32_t joined = (state_[index] & 0x80000000u) | (state_[(index + 1) % kSize] & 0x7FFFFFFFu);
    state_[index] = state_[(index + 397) % kSize] ^ joined >> 1 ^ (joined & 1 ? 0x9908B0DFu : 0u);
  }
  used_ = 0;
}

uint32_t PythonRandom::next32() {
  if (used_ == kSize) refill();
  uint32_t value = state_[used_++];
  value ^= value >> 11;
  value ^= value << 7 & 0x9D2C5680u;
  value ^= value << 15 & 0xEFC60000u;
  return value ^ value >> 18;
}

// random._randbelow.
uint64_t PythonRandom::randbelow(uint64_t bound) {
  if (bound == 0) throw std::invalid_argument("randint: all of int64 is too wide a range");
  const int bits = static_cast<int>(std::bit_width(bound));
  while (true) {  // getrandbits: whole words lowest first, the last one's top bits
    uint64_t value = next32() >> std::max(0, 32 - bits);
    if (bits > 32) value |= static_cast<uint64_t>(next32() >> (64 - bits)) << 32;
    if (value < bound) return value;
  }
}

int64_t PythonRandom::randint(int64_t low, int64_t high) {
  if (low > high) throw std::invalid_argument("randint: empty range");
  const uint64_t width = static_cast<uint64_t>(high) - static_cast<uint64_t>(low) + 1;
  return static_cast<int64_t>(static_cast<uint64_t>(low) + randbelow(width));
}

}  // namespace moebench
