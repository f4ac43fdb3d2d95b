// Python's random module, bit for bit (CPython 3: MT19937): which windows the published code draws, which examples
// lm-eval shows.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace moebench {

class PythonRandom {
 public:
  explicit PythonRandom(uint64_t seed);  // random.seed(seed)

  double random();                             // in [0, 1), of 53 bits
  int64_t randint(int64_t low, int64_t high);  // both inclusive

  // random.sample(range(population), count): distinct places in the order drawn. Throws std::invalid_argument if there
  // are not so many.
  std::vector<size_t> sample(size_t population, size_t count);

  // The place that each of random.choices(items, k)'s draws takes; size > 0.
  size_t choice(size_t size) { return static_cast<size_t>(random() * static_cast<double>(size)); }

  template <typename T>
  void shuffle(std::vector<T>& items) {
    for (size_t left = items.size(); left > 1; --left) std::swap(items[left - 1], items[randbelow(left)]);
  }

 private:
  static constexpr size_t kSize = 624;
  void seed_by_array(const std::vector<uint32_t>& key);
  void refill();
  uint32_t next32();
  uint64_t randbelow(uint64_t bound);

  std::array<uint32_t, kSize> state_, outputs_;  // outputs_: the state, tempered
  size_t used_ = kSize;
};

inline uint32_t PythonRandom::next32() {
  if (used_ == kSize) refill();
  return outputs_[used_++];
}

inline double PythonRandom::random() {
  const uint32_t high = next32() >> 5, low = next32() >> 6;
  return (high * 67108864.0 + low) * (1.0 / 9007199254740992.0);
}

}  // namespace moebench
