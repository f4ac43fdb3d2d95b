// Python's random module, bit for bit (CPython 3: MT19937): which windows the published code draws.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace moebench {

class PythonRandom {
 public:
  explicit PythonRandom(uint64_t seed);  // random.seed(seed)

  int64_t randint(int64_t low, int64_t high);  // both inclusive

 private:
  static constexpr size_t kSize = 624;
  void seed_by_array(const std::vector<uint32_t>& key);
  void refill();
  uint32_t next32();
  uint64_t randbelow(uint64_t bound);

  std::array<uint32_t, kSize> state_;
  size_t used_ = kSize;
};

}  // namespace moebench
