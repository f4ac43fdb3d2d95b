// Products of bfloat16 pairs in vectors of 512 bits, for the sources that are compiled for AVX512-BF16.
#pragma once

#include "kernels/cpu/avx512.h"

namespace moebench::kernels {
namespace {

struct BFloat16Pairs {
  using Vector = __m512;
  using Element = uint16_t;
  using Operand = __m512bh;
  static constexpr int kVectors = 2, kMaxRows = 12;

  static MOEBENCH_INLINE Operand panel_operand(const char* address) {
    return reinterpret_cast<__m512bh>(_mm512_loadu_si512(address));
  }
  static MOEBENCH_INLINE Operand row_operand(const char* address) {
    return reinterpret_cast<__m512bh>(_mm512_set1_epi32(load_integer(address)));
  }
  static MOEBENCH_INLINE Vector fused(Vector a, Vector b, Vector c) { return _mm512_fmadd_ps(a, b, c); }
  static MOEBENCH_INLINE Vector multiply_add(Vector sum, Operand row, Operand column) {
    return _mm512_dpbf16_ps(sum, row, column);
  }
  static MOEBENCH_INLINE void store(Element* address, Vector values) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(address), reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(values)));
  }
};

}  // namespace
}  // namespace moebench::kernels
