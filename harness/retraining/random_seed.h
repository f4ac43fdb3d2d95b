// Seeds of random streams that depend on where they are used and on nothing that ran before.
#pragma once

#include <cstdint>

namespace moebench {

// One seed for each pair (splitmix64's finaliser), so that what is drawn at one step or layer does not depend on what
// was drawn before: a resumed training needs no generator's state.
inline uint64_t mixed_seed(uint64_t seed, uint64_t place) {
  uint64_t bits = seed + 0x9e3779b97f4a7c15 * (place + 1);
  bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9;
  bits = (bits ^ (bits >> 27)) * 0x94d049bb133111eb;
  return bits ^ (bits >> 31);
}

}  // namespace moebench
