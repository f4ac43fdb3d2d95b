// Python's random module, bit for bit (CPython 3: MT19937): which windows and few-shot examples the published code
// draws.
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

  double random();                                     // in [0, 1)
  uint64_t randbelow(uint64_t bound);                  // random._randbelow; bound >= 1
  int64_t randint(int64_t low, int64_t high);          // both inclusive
  std::vector<int64_t> sample(int64_t n, int64_t k);   // indices of random.sample(range(n), k); k <= n
  std::vector<int64_t> choices(int64_t n, int64_t k);  // indices of random.choices(range(n), k=k)

  template <class Value>
  void shuffle(std::vector<Value>& values) {
    for (size_t last = values.size(); last-- > 1;) std::swap(values[last], values[randbelow(last + 1)]);
  }

 private:
  static constexpr size_t kSize = 624;
  void seed_by_array(const std::vector<uint32_t>& key);
  void refill();
  uint32_t next32();

  std::array<uint32_t, kSize> state_;
  size_t used_ = kSize;
};

}  // namespace moebench
