#pragma once

#include <cstdint>

#include "kernels/cpu/packed_weights.h"

namespace moebench::kernels {

// Row by row a call's tiles have at most max_rows rows, and are alike: 16 rows are two of 8, not 12 and 4.
template <class Function>
void for_tiles(int64_t num_rows, int64_t max_rows, const Function& function) {
  const int64_t num_tiles = divided_up(num_rows, max_rows);
  for (int64_t tile = 0; tile < num_tiles; ++tile) {
    const int64_t begin = num_rows * tile / num_tiles;
    function(begin, static_cast<int>(num_rows * (tile + 1) / num_tiles - begin));
  }
}

}  // namespace moebench::kernels
