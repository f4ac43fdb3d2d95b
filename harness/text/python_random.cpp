#include "harness/text/python_random.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <string>
#include <unordered_set>

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

// In three stretches, so that none wraps around and each is a loop over vectors.
void PythonRandom::refill() {
  constexpr size_t kMiddle = 397;
  const auto twist = [this](size_t index, size_t next, size_t other) {
    const uint32_t joined = (state_[index] & 0x80000000u) | (state_[next] & 0x7FFFFFFFu);
    state_[index] = state_[other] ^ joined >> 1 ^ ((0u - (joined & 1)) & 0x9908B0DFu);
  };
  for (size_t index = 0; index < kSize - kMiddle; ++index) twist(index, index + 1, index + kMiddle);
  for (size_t index = kSize - kMiddle; index < kSize - 1; ++index) twist(index, index + 1, index + kMiddle - kSize);
  twist(kSize - 1, 0, kMiddle - 1);
  for (size_t index = 0; index < kSize; ++index) {
    uint32_t value = state_[index];
    value ^= value >> 11;
    value ^= value << 7 & 0x9D2C5680u;
    value ^= value << 15 & 0xEFC60000u;
    outputs_[index] = value ^ value >> 18;
  }
  used_ = 0;
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

// A pool where it is no larger than CPython's set of the places taken would be, else that set.
std::vector<size_t> PythonRandom::sample(size_t population, size_t count) {
  if (count > population) {
    throw std::invalid_argument("sample: " + std::to_string(count) + " of " + std::to_string(population) + " items");
  }
  size_t set_size = 21;
  if (count > 5) set_size += static_cast<size_t>(std::pow(4, std::ceil(std::log(count * 3.0) / std::log(4.0))));
  std::vector<size_t> drawn;
  if (population <= set_size) {
    std::vector<size_t> pool(population);
    std::iota(pool.begin(), pool.end(), size_t{0});
    for (size_t left = population; drawn.size() < count; --left) {
      const size_t place = randbelow(left);
      drawn.push_back(pool[place]);
      pool[place] = pool[left - 1];
    }
    return drawn;
  }
  std::unordered_set<size_t> taken;
  while (drawn.size() < count) {
    const size_t place = randbelow(population);
    if (taken.insert(place).second) drawn.push_back(place);
  }
  return drawn;
}

}  // namespace moebench
