// The kernel over matrix tiles where the processor has none: tiles are memory here, and products are what Intel's
// manual says of TDPBF16PS (Software Developer's Manual, volume 2).
#include "kernels/cpu/tile_kernels.h"

namespace moebench::kernels {
namespace {

struct EmulatedTiles {
  struct Tile {
    int rows;
    char bytes[kTileRows][kTileBytes];
  };
  static thread_local Tile tiles[8];

  static void configure(int num_rows) {
    const int first = num_rows < kTileRows ? num_rows : kTileRows, second = num_rows - first;
    const int rows[8] = {first, first, second, second, first, second, kTileRows, kTileRows};
    for (int tile = 0; tile < 8; ++tile) {
      tiles[tile] = {};
      tiles[tile].rows = rows[tile];
    }
  }
  static void release() {
    for (Tile& tile : tiles) tile.rows = -1;
  }
  template <int kTile>
  static void load(const void* address, int64_t row_bytes) {
    Tile& tile = tiles[kTile];
    tile = {.rows = tile.rows};
    for (int row = 0; row < tile.rows; ++row) {
      __builtin_memcpy(tile.bytes[row], static_cast<const char*>(address) + row * row_bytes, kTileBytes);
    }
  }
  template <int kTile>
  static void store(void* address, int64_t row_bytes) {
    const Tile& tile = tiles[kTile];
    for (int row = 0; row < tile.rows; ++row) {
      __builtin_memcpy(static_cast<char*>(address) + row * row_bytes, tile.bytes[row], kTileBytes);
    }
  }

  static float element(const Tile& tile, int row, int column) {
    uint16_t half;
    __builtin_memcpy(&half, tile.bytes[row] + column * sizeof(half), sizeof(half));
    const uint32_t bits = static_cast<uint32_t>(half) << 16;
    float value;
    __builtin_memcpy(&value, &bits, sizeof(value));
    return value;
  }
  template <int kSum, int kRowTile, int kColumnTile>
  static void add_product() {
    const Tile &left = tiles[kRowTile], &right = tiles[kColumnTile];
    for (int row = 0; row < left.rows; ++row) {
      for (int column = 0; column < kTileRows; ++column) {
        float even = 0, odd = 0, sum;
        for (int step = 0; step < kTileRows; ++step) {
          even = __builtin_fmaf(element(left, row, 2 * step), element(right, step, 2 * column), even);
          odd = __builtin_fmaf(element(left, row, 2 * step + 1), element(right, step, 2 * column + 1), odd);
        }
        char* target = tiles[kSum].bytes[row] + column * sizeof(sum);
        __builtin_memcpy(&sum, target, sizeof(sum));
        sum += even + odd;
        __builtin_memcpy(target, &sum, sizeof(sum));
      }
    }
  }
};

thread_local EmulatedTiles::Tile EmulatedTiles::tiles[8];

}  // namespace

extern const InstructionSet kEmulatedTiles = {
    "emulated_amx", micro_kernels<Floats512>(), tile_kernels<EmulatedTiles>(), exponentials<Floats512>, rank,
    read<Floats512>};

}  // namespace moebench::kernels
