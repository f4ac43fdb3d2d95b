// The micro-kernels of bfloat16 over matrix tiles (AMX), for the source that is compiled for them, and for a test that
// has them emulated. As in micro_kernels_of.h everything is in an anonymous namespace.
//
// A Tiles has: configure(num_rows) with 1 to 32 rows, clears all tiles; release(); and of tiles by number
// load<tile>(address, row_bytes), store<tile>(address, row_bytes), add_product<sum, rows, columns>(). Tiles 0 and 1
// hold sums of the first 16 rows (columns 0 to 15, 16 to 31 of the panel), 2 and 3 those of the others; 4 and 5 rows, 6
// and 7 columns. A tile of rows or columns is 32 elements deep: 16 steps.
//
// A row's result does not depend on the rows beside it: tiles multiply every row by itself, in the same order.
#pragma once

#include "kernels/cpu/avx512_bf16.h"

namespace moebench::kernels {
namespace {

constexpr int kTileRows = 16;
constexpr int64_t kTileSteps = 16;
constexpr int64_t kTileBytes = kTileSteps * kStepBytes;  // of a row of a tile
constexpr int kMostTileRows = 2 * kTileRows;

// The 16 steps at byte, or num_steps and zeros, of each row: tiles load rows at one distance.
MOEBENCH_INLINE void gather_rows(const void* const* rows, int num_rows, int64_t byte, int64_t num_steps,
                                 char* gathered) {
  const auto mask = static_cast<__mmask16>((1u << num_steps) - 1);
  for (int row = 0; row < num_rows; ++row) {
    _mm512_store_si512(gathered + row * kTileBytes,
                       _mm512_maskz_loadu_epi32(mask, static_cast<const char*>(rows[row]) + byte));
  }
}

// The distance from row to row, or 0 if it differs.
MOEBENCH_INLINE int64_t distance_of(const void* const* rows, int num_rows) {
  if (num_rows == 1) return kTileBytes;
  const int64_t distance = static_cast<const char*>(rows[1]) - static_cast<const char*>(rows[0]);
  for (int row = 2; row < num_rows; ++row) {
    if (static_cast<const char*>(rows[row]) - static_cast<const char*>(rows[row - 1]) != distance) return 0;
  }
  return distance;
}

// Adds the products of 16 steps: rows at one distance, columns of a panel.
template <class Tiles>
MOEBENCH_INLINE void add_steps(const char* panel, const char* rows, int64_t row_distance, bool has_second) {
  Tiles::template load<6>(panel, kPanelStepBytes);
  Tiles::template load<7>(panel + kTileBytes, kPanelStepBytes);
  Tiles::template load<4>(rows, row_distance);
  Tiles::template add_product<0, 4, 6>();
  Tiles::template add_product<1, 4, 7>();
  if (!has_second) return;
  Tiles::template load<5>(rows + kTileRows * row_distance, row_distance);
  Tiles::template add_product<2, 5, 6>();
  Tiles::template add_product<3, 5, 7>();
}

// products[r * 32 + c]
template <class Tiles>
void multiply_by_tiles(const void* panel_data, int64_t steps, const void* const* rows, int num_rows, float* products) {
  alignas(64) char gathered[kMostTileRows * kTileBytes];
  const char* panel = static_cast<const char*>(panel_data);
  const int64_t distance = distance_of(rows, num_rows);
  const bool has_second = num_rows > kTileRows;
  Tiles::configure(num_rows);
  const int64_t whole = steps / kTileSteps * kTileSteps;
  for (int64_t step = 0; step < whole; step += kTileSteps) {
    for (int64_t line = 0; line < kTileSteps * kPanelStepBytes; line += 64) {
      __builtin_prefetch(panel + kPrefetchBytes + line);
    }
    if (distance == 0) {
      gather_rows(rows, num_rows, step * kStepBytes, kTileSteps, gathered);
      add_steps<Tiles>(panel, gathered, kTileBytes, has_second);
    } else {
      add_steps<Tiles>(panel, static_cast<const char*>(rows[0]) + step * kStepBytes, distance, has_second);
    }
    panel += kTileSteps * kPanelStepBytes;
  }
  if (whole < steps) {
    // What lies behind the panel may be anything, and may be nobody's.
    alignas(64) char rest[kTileSteps * kPanelStepBytes] = {};
    __builtin_memcpy(rest, panel, (steps - whole) * kPanelStepBytes);
    gather_rows(rows, num_rows, whole * kStepBytes, steps - whole, gathered);
    add_steps<Tiles>(rest, gathered, kTileBytes, has_second);
  }
  constexpr int64_t kRowBytes = kPanelColumns * sizeof(float);
  Tiles::template store<0>(products, kRowBytes);
  Tiles::template store<1>(products + kPanelColumns / 2, kRowBytes);
  if (has_second) {
    Tiles::template store<2>(products + kTileRows * kPanelColumns, kRowBytes);
    Tiles::template store<3>(products + kTileRows * kPanelColumns + kPanelColumns / 2, kRowBytes);
  }
  Tiles::release();
}

template <class Tiles>
void activate_by_tiles(const void* panel, int64_t steps, const void* const* rows, int num_rows, void* activations,
                       int64_t row_bytes) {
  alignas(64) float products[kMostTileRows * kPanelColumns];
  multiply_by_tiles<Tiles>(panel, steps, rows, num_rows, products);
  for (int row = 0; row < num_rows; ++row) {
    const float* gate = products + row * kPanelColumns;
    BFloat16Pairs::store(reinterpret_cast<uint16_t*>(static_cast<char*>(activations) + row * row_bytes),
                         activated<BFloat16Pairs>(load<__m512>(gate), load<__m512>(gate + kPanelColumns / 2)));
  }
}

template <class Tiles>
void accumulate_by_tiles(const void* panel, int64_t steps, const void* const* rows, int num_rows, const float* weights,
                         const float* bias, const float* absent, float* const* sums) {
  alignas(64) float products[kMostTileRows * kPanelColumns];
  multiply_by_tiles<Tiles>(panel, steps, rows, num_rows, products);
  for (int64_t column = 0; column < kPanelColumns; column += kPanelColumns / 2) {
    const __m512 added = load_if_any<BFloat16Pairs>(bias, column);
    const __m512 taken = load_if_any<BFloat16Pairs>(absent, column);
    for (int row = 0; row < num_rows; ++row) {
      add_visit<BFloat16Pairs>(load<__m512>(products + row * kPanelColumns + column), added, weights[row], taken,
                               sums[row] + column);
    }
  }
}

// Four products of tiles a step, as in add_steps, of operands that stay.
template <class Tiles>
void chain_of_tiles(int64_t steps) {
  alignas(64) const char zeros[kTileRows * kTileBytes] = {};
  Tiles::configure(kMostTileRows);
  Tiles::template load<4>(zeros, kTileBytes);
  Tiles::template load<5>(zeros, kTileBytes);
  Tiles::template load<6>(zeros, kTileBytes);
  Tiles::template load<7>(zeros, kTileBytes);
  for (int64_t step = 0; step < steps; ++step) {
    Tiles::template add_product<0, 4, 6>();
    Tiles::template add_product<1, 4, 7>();
    Tiles::template add_product<2, 5, 6>();
    Tiles::template add_product<3, 5, 7>();
  }
  Tiles::release();
}

template <class Tiles>
constexpr MicroKernels tile_kernels() {
  return {.max_rows = kMostTileRows,
          .multiply = multiply_by_tiles<Tiles>,
          .activate = activate_by_tiles<Tiles>,
          .accumulate = accumulate_by_tiles<Tiles>,
          .round = round<BFloat16Pairs>,
          .chain = chain_of_tiles<Tiles>,
          .chain_step_flops = kMostTileRows * static_cast<int>(kPanelColumns * kTileSteps) * 2 * 2};
}

}  // namespace
}  // namespace moebench::kernels
