// Sapphire Rapids and later: bfloat16 by matrix tiles. The operating system must have been asked for them
// (instruction_set.cpp).
#include "kernels/cpu/tile_kernels.h"

namespace moebench::kernels {
namespace {

// In assembly, for GCC's macros take a tile's number only as it is written.
struct AmxTiles {
  static MOEBENCH_INLINE void configure(int num_rows) {
    struct {
      uint8_t palette = 1, start_row = 0, reserved[14] = {};
      uint16_t row_bytes[16] = {};
      uint8_t rows[16] = {};
    } configuration;
    const auto first = static_cast<uint8_t>(num_rows < kTileRows ? num_rows : kTileRows);
    const auto second = static_cast<uint8_t>(num_rows - first);
    const uint8_t rows[8] = {first, first, second, second, first, second, kTileRows, kTileRows};
    for (int tile = 0; tile < 8; ++tile) {
      configuration.rows[tile] = rows[tile];
      configuration.row_bytes[tile] = rows[tile] == 0 ? 0 : kTileBytes;
    }
    _tile_loadconfig(&configuration);
  }
  static MOEBENCH_INLINE void release() { _tile_release(); }
  template <int kTile>
  static MOEBENCH_INLINE void load(const void* address, int64_t row_bytes) {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(address), "r"(row_bytes), "i"(kTile) : "memory");
  }
  template <int kTile>
  static MOEBENCH_INLINE void store(void* address, int64_t row_bytes) {
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(address), "r"(row_bytes), "i"(kTile) : "memory");
  }
  template <int kSum, int kRowTile, int kColumnTile>
  static MOEBENCH_INLINE void add_product() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSum), "i"(kRowTile), "i"(kColumnTile));
  }
};

}  // namespace

extern const InstructionSet kAvx512Amx = {
    "avx512_amx", micro_kernels<Floats512>(), tile_kernels<AmxTiles>(), exponentials<Floats512>, rank, read<Floats512>};

}  // namespace moebench::kernels
