// The micro-kernels over one instruction set's vectors, for that set's own source to instantiate. Everything is in an
// anonymous namespace and nothing of the standard library's is called: code compiled for one processor must not be
// linked into what another runs.
//
// An Operations has: Vector (of float; GCC's vector extension, so that operators work), kVectors in a panel's step (the
// first half gate, the second up), kMaxRows, Element (what is stored), Operand (what products take),
// panel_operand(address), row_operand(address), multiply_add(sum, row, panel), store(address, Vector), fused(a, b, c):
// a b
// + c rounded once. Such sources are compiled with -ffp-contract=off: what is contracted must not depend on the number
// of rows.
#pragma once

#include "kernels/cpu/micro_kernels.h"

namespace moebench::kernels {
namespace {

#define MOEBENCH_INLINE inline __attribute__((always_inline))

template <class Vector>
MOEBENCH_INLINE Vector load(const float* address) {
  typedef Vector Unaligned __attribute__((aligned(4)));
  return *reinterpret_cast<const Unaligned*>(address);
}

template <class Vector>
MOEBENCH_INLINE void store_floats(float* address, Vector values) {
  typedef Vector Unaligned __attribute__((aligned(4)));
  *reinterpret_cast<Unaligned*>(address) = values;
}

// 2^n from the exponent bits, times a Taylor polynomial of the remainder, which is at most ln(2) / 2: to 1e-7 relative.
// From 88.72 up infinite, below -87 near zero; not-a-number stays so.
template <class Operations>
MOEBENCH_INLINE typename Operations::Vector exponential(typename Operations::Vector x) {
  using Vector = typename Operations::Vector;
  typedef unsigned Integers __attribute__((vector_size(sizeof(Vector))));  // what overflows is not kept
  const auto times_plus = [](Vector a, Vector b, float c) { return Operations::fused(a, b, Vector{} + c); };
  constexpr float kRounder = 12582912;  // 1.5 * 2^23: adding it leaves an integer in the low bits
  const Vector clamped = x < -87.0f ? Vector{} - 87.0f : x;
  const Vector shifted = times_plus(clamped, Vector{} + 1.44269504f, kRounder);
  const Vector n = shifted - kRounder;
  // ln(2) in two parts
  const Vector r =
      Operations::fused(n, Vector{} + 2.12194440e-4f, Operations::fused(n, Vector{} - 0.693359375f, clamped));
  Vector power = times_plus(Vector{} + 1.0f / 5040, r, 1.0f / 720);
  power = times_plus(power, r, 1.0f / 120);
  power = times_plus(power, r, 1.0f / 24);
  power = times_plus(power, r, 1.0f / 6);
  power = times_plus(power, r, 0.5f);
  power = times_plus(power, r, 1);
  power = times_plus(power, r, 1);
  const Vector result =
      reinterpret_cast<Vector>(reinterpret_cast<Integers>(power) + (reinterpret_cast<Integers>(shifted) << 23));
  return x > 88.72f ? Vector{} + __builtin_inff() : (x == x ? result : x);
}

// How far ahead of its use a panel is asked for.
constexpr int64_t kPrefetchBytes = 8192;

template <class Operations, int kRows>
struct Tile {
  using Vector = typename Operations::Vector;
  static constexpr int kVectors = Operations::kVectors;
  static constexpr int kLanes = kPanelColumns / kVectors;

  Vector sums[kRows][kVectors];

  MOEBENCH_INLINE void multiply(const void* panel_data, int64_t steps, const void* const* row_data) {
    const char* panel = static_cast<const char*>(panel_data);
    const char* rows[kRows];
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      rows[r] = static_cast<const char*>(row_data[r]);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sums[r][v] = Vector{};
    }
    for (int64_t step = 0; step < steps; ++step) {
      __builtin_prefetch(panel + kPrefetchBytes);
      __builtin_prefetch(panel + kPrefetchBytes + 64);
      if constexpr (Operations::kMaxRows < kVectors && sizeof(typename Operations::Operand) > sizeof(Vector)) {
        // Taken apart, the operands of all columns would not fit into sixteen registers; those of the rows do.
        typename Operations::Operand operands[kRows];
#pragma GCC unroll 16
        for (int r = 0; r < kRows; ++r) operands[r] = Operations::row_operand(rows[r] + step * kStepBytes);
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) {
          const typename Operations::Operand column =
              Operations::panel_operand(panel + v * (kPanelStepBytes / kVectors));
#pragma GCC unroll 16
          for (int r = 0; r < kRows; ++r) sums[r][v] = Operations::multiply_add(sums[r][v], operands[r], column);
        }
      } else {
        typename Operations::Operand columns[kVectors];
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) {
          columns[v] = Operations::panel_operand(panel + v * (kPanelStepBytes / kVectors));
        }
#pragma GCC unroll 16
        for (int r = 0; r < kRows; ++r) {
          const typename Operations::Operand row = Operations::row_operand(rows[r] + step * kStepBytes);
#pragma GCC unroll 4
          for (int v = 0; v < kVectors; ++v) sums[r][v] = Operations::multiply_add(sums[r][v], row, columns[v]);
        }
      }
      panel += kPanelStepBytes;
    }
  }
};

template <class Operations>
MOEBENCH_INLINE typename Operations::Vector activated(typename Operations::Vector gate,
                                                      typename Operations::Vector up) {
  return gate / (exponential<Operations>(-gate) + 1.0f) * up;
}

template <class Operations>
MOEBENCH_INLINE void add_visit(typename Operations::Vector product, typename Operations::Vector bias, float weight,
                               typename Operations::Vector absent, float* sum) {
  using Vector = typename Operations::Vector;
  store_floats(sum, Operations::fused(product + bias, Vector{} + weight, load<Vector>(sum)) - absent);
}

// Null: zeros.
template <class Operations>
MOEBENCH_INLINE typename Operations::Vector load_if_any(const float* address, int64_t offset) {
  using Vector = typename Operations::Vector;
  return address == nullptr ? Vector{} : load<Vector>(address + offset);
}

template <class Operations, int kRows>
void multiply_rows(const void* panel, int64_t steps, const void* const* rows, float* products) {
  Tile<Operations, kRows> tile;
  tile.multiply(panel, steps, rows);
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < tile.kVectors; ++v) {
      store_floats(products + r * kPanelColumns + v * tile.kLanes, tile.sums[r][v]);
    }
  }
}

template <class Operations, int kRows>
void activate_rows(const void* panel, int64_t steps, const void* const* rows, void* activations, int64_t row_bytes) {
  Tile<Operations, kRows> tile;
  tile.multiply(panel, steps, rows);
  constexpr int kHalf = Operations::kVectors / 2;
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    auto* row = reinterpret_cast<typename Operations::Element*>(static_cast<char*>(activations) + r * row_bytes);
#pragma GCC unroll 2
    for (int v = 0; v < kHalf; ++v) {
      Operations::store(row + v * tile.kLanes, activated<Operations>(tile.sums[r][v], tile.sums[r][v + kHalf]));
    }
  }
}

template <class Operations, int kRows>
void accumulate_rows(const void* panel, int64_t steps, const void* const* rows, const float* weights, const float* bias,
                     const float* absent, float* const* sums) {
  using Vector = typename Operations::Vector;
  Tile<Operations, kRows> tile;
  tile.multiply(panel, steps, rows);
#pragma GCC unroll 4
  for (int v = 0; v < tile.kVectors; ++v) {
    const Vector added = load_if_any<Operations>(bias, v * tile.kLanes);
    const Vector taken = load_if_any<Operations>(absent, v * tile.kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      add_visit<Operations>(tile.sums[r][v], added, weights[r], taken, sums[r] + v * tile.kLanes);
    }
  }
}

// For the number of rows that it is.
template <class Operations, int kRows = Operations::kMaxRows>
void multiply(const void* panel, int64_t steps, const void* const* rows, int num_rows, float* products) {
  if (num_rows == kRows) return multiply_rows<Operations, kRows>(panel, steps, rows, products);
  if constexpr (kRows > 1) multiply<Operations, kRows - 1>(panel, steps, rows, num_rows, products);
}

template <class Operations, int kRows = Operations::kMaxRows>
void activate(const void* panel, int64_t steps, const void* const* rows, int num_rows, void* activations,
              int64_t row_bytes) {
  if (num_rows == kRows) return activate_rows<Operations, kRows>(panel, steps, rows, activations, row_bytes);
  if constexpr (kRows > 1) activate<Operations, kRows - 1>(panel, steps, rows, num_rows, activations, row_bytes);
}

template <class Operations, int kRows = Operations::kMaxRows>
void accumulate(const void* panel, int64_t steps, const void* const* rows, int num_rows, const float* weights,
                const float* bias, const float* absent, float* const* sums) {
  if (num_rows == kRows) {
    return accumulate_rows<Operations, kRows>(panel, steps, rows, weights, bias, absent, sums);
  }
  if constexpr (kRows > 1) {
    accumulate<Operations, kRows - 1>(panel, steps, rows, num_rows, weights, bias, absent, sums);
  }
}

template <class Operations>
void round(const float* values, int64_t count, void* rounded) {
  constexpr int64_t kLanes = kPanelColumns / Operations::kVectors;
  auto* elements = static_cast<typename Operations::Element*>(rounded);
  for (; count >= kLanes; count -= kLanes, values += kLanes, elements += kLanes) {
    Operations::store(elements, load<typename Operations::Vector>(values));
  }
  if (count == 0) return;
  float padded[kLanes] = {};
  typename Operations::Element tail[kLanes];
  for (int64_t i = 0; i < count; ++i) padded[i] = values[i];
  Operations::store(tail, load<typename Operations::Vector>(padded));
  for (int64_t i = 0; i < count; ++i) elements[i] = tail[i];
}

// Different to begin with, so that no two chains are one; asm keeps what nobody uses.
template <class Operations>
void chain(int64_t steps) {
  constexpr int kChains = Operations::kMaxRows * Operations::kVectors;
  typename Operations::Vector sums[kChains];
  alignas(64) char operand[64] = {};
  typename Operations::Operand factor = Operations::panel_operand(operand);
#pragma GCC unroll 32
  for (int i = 0; i < kChains; ++i) sums[i] = typename Operations::Vector{} + static_cast<float>(i);
  for (int64_t step = 0; step < steps; ++step) {
    asm volatile("" : "+m"(factor));
#pragma GCC unroll 32
    for (int i = 0; i < kChains; ++i) sums[i] = Operations::multiply_add(sums[i], factor, factor);
  }
#pragma GCC unroll 32
  for (int i = 0; i < kChains; ++i) asm volatile("" : : "x"(sums[i]));
}

template <class Operations>
constexpr MicroKernels micro_kernels() {
  constexpr int kStepElements = kStepBytes / sizeof(typename Operations::Element);
  return {.max_rows = Operations::kMaxRows,
          .multiply = multiply<Operations>,
          .activate = activate<Operations>,
          .accumulate = accumulate<Operations>,
          .round = round<Operations>,
          .chain = chain<Operations>,
          .chain_step_flops = Operations::kMaxRows * static_cast<int>(kPanelColumns) * kStepElements * 2};
}

template <class Operations>
void exponentials(const float* values, float shift, int64_t count, float* result) {
  using Vector = typename Operations::Vector;
  constexpr int64_t kLanes = kPanelColumns / Operations::kVectors;
  for (int64_t i = 0; i < count; i += kLanes)
    store_floats(result + i, exponential<Operations>(load<Vector>(values + i) - shift));
}

template <class Operations>
void read(const void* data, int64_t bytes) {
  using Vector = typename Operations::Vector;
  constexpr int64_t kLanes = kPanelColumns / Operations::kVectors;
  const float* values = static_cast<const float*>(data);
  for (int64_t i = 0; i < bytes / 4; i += 8 * kLanes) {
    __builtin_prefetch(values + i + 2048);
    if constexpr (sizeof(Vector) * 8 > 64) {
#pragma GCC unroll 8
      for (int64_t line = 64; line < 8 * static_cast<int64_t>(sizeof(Vector)); line += 64) {
        __builtin_prefetch(reinterpret_cast<const char*>(values + i + 2048) + line);
      }
    }
    Vector sum = load<Vector>(values + i);
#pragma GCC unroll 8
    for (int64_t v = 1; v < 8; ++v) sum += load<Vector>(values + i + v * kLanes);
    asm volatile("" : : "x"(sum));
  }
}

// A loop over all pairs is what vectorises; there are at most a few dozen experts.
void rank(const int32_t* keys, int64_t count, int32_t* ranks) {
  for (int64_t i = 0; i < count; ++i) ranks[i] = 0;
  for (int64_t other = 0; other < count; ++other) {
    const int32_t key = keys[other];
    for (int64_t i = 0; i <= other; ++i) ranks[i] += key > keys[i];
    for (int64_t i = other + 1; i < count; ++i) ranks[i] += key >= keys[i];
  }
}

}  // namespace
}  // namespace moebench::kernels
