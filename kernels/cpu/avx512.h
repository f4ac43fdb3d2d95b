// Floats in vectors of 512 bits, for the sources that are compiled for AVX-512.
#pragma once

#include <immintrin.h>

#include "kernels/cpu/micro_kernels_of.h"

namespace moebench::kernels {
namespace {

MOEBENCH_INLINE int load_integer(const char* address) {
  int value;
  __builtin_memcpy(&value, address, sizeof(value));
  return value;
}

struct Floats512 {
  using Vector = __m512;
  using Element = float;
  using Operand = __m512;
  static constexpr int kVectors = 2, kMaxRows = 12;

  static MOEBENCH_INLINE Operand panel_operand(const char* address) { return _mm512_loadu_ps(address); }
  static MOEBENCH_INLINE Operand row_operand(const char* address) {
    return reinterpret_cast<__m512>(_mm512_set1_epi32(load_integer(address)));
  }
  static MOEBENCH_INLINE Vector fused(Vector a, Vector b, Vector c) { return _mm512_fmadd_ps(a, b, c); }
  static MOEBENCH_INLINE Vector multiply_add(Vector sum, Operand row, Operand column) {
    return fused(row, column, sum);
  }
  static MOEBENCH_INLINE void store(Element* address, Vector values) { _mm512_storeu_ps(address, values); }
};

}  // namespace
}  // namespace moebench::kernels
