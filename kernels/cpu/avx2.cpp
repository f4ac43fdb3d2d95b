// Haswell and later, Zen 1 to 3. Sixteen registers: fewer rows at a time.
#include <immintrin.h>

#include "kernels/cpu/micro_kernels_of.h"

namespace moebench::kernels {
namespace {

struct Floats256 {
  using Vector = __m256;
  using Element = float;
  using Operand = __m256;
  static constexpr int kVectors = 4, kMaxRows = 3;

  static MOEBENCH_INLINE Operand panel_operand(const char* address) {
    return _mm256_loadu_ps(reinterpret_cast<const float*>(address));
  }
  static MOEBENCH_INLINE Operand row_operand(const char* address) {
    return _mm256_broadcast_ss(reinterpret_cast<const float*>(address));
  }
  static MOEBENCH_INLINE Vector fused(Vector a, Vector b, Vector c) { return _mm256_fmadd_ps(a, b, c); }
  static MOEBENCH_INLINE Vector multiply_add(Vector sum, Operand row, Operand column) {
    return fused(row, column, sum);
  }
  static MOEBENCH_INLINE void store(Element* address, Vector values) { _mm256_storeu_ps(address, values); }
};

struct BFloat16Floats256 {
  using Vector = __m256;
  using Element = uint16_t;
  struct Operand {
    __m256 even, odd;
  };
  static constexpr int kVectors = 4, kMaxRows = 2;

  static MOEBENCH_INLINE Operand taken_apart(__m256i pairs) {
    return {_mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16)),
            _mm256_castsi256_ps(_mm256_and_si256(pairs, _mm256_set1_epi32(-65536)))};
  }
  static MOEBENCH_INLINE Operand panel_operand(const char* address) {
    return taken_apart(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(address)));
  }
  static MOEBENCH_INLINE Operand row_operand(const char* address) {
    int pair;
    __builtin_memcpy(&pair, address, sizeof(pair));
    return taken_apart(_mm256_set1_epi32(pair));
  }
  static MOEBENCH_INLINE Vector fused(Vector a, Vector b, Vector c) { return _mm256_fmadd_ps(a, b, c); }
  static MOEBENCH_INLINE Vector multiply_add(Vector sum, Operand row, Operand column) {
    return fused(row.odd, column.odd, fused(row.even, column.even, sum));
  }
  // To the nearest, ties to even; not-a-number stays so.
  static MOEBENCH_INLINE void store(Element* address, Vector values) {
    const __m256i bits = _mm256_castps_si256(values);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i nearest = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
    const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    const __m256i is_nan = _mm256_castps_si256(_mm256_cmp_ps(values, values, _CMP_UNORD_Q));
    const __m256i rounded = _mm256_srli_epi32(_mm256_blendv_epi8(nearest, quiet, is_nan), 16);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(address),
                     _mm_packus_epi32(_mm256_castsi256_si128(rounded), _mm256_extracti128_si256(rounded, 1)));
  }
};

struct WidenedFloats256 : Floats256 {
  using Element = BFloat16Floats256::Element;
  static MOEBENCH_INLINE void store(Element* address, Vector values) { BFloat16Floats256::store(address, values); }
};

void widen_panel(const void* panel, int64_t steps, float* floats) {
  const char* pairs = static_cast<const char*>(panel);
  for (int64_t step = 0; step < steps; ++step, pairs += kPanelStepBytes, floats += 2 * kPanelColumns) {
    for (int64_t column = 0; column < kPanelColumns; column += 8) {
      const BFloat16Floats256::Operand columns = BFloat16Floats256::panel_operand(pairs + column * kStepBytes);
      _mm256_storeu_ps(floats + column, columns.even);
      _mm256_storeu_ps(floats + kPanelColumns + column, columns.odd);
    }
  }
}

void widen_row(const void* row, int64_t steps, float* floats) {
  const char* pairs = static_cast<const char*>(row);
  for (; steps >= 4; steps -= 4, pairs += 4 * kStepBytes, floats += 8) {
    const __m128i elements = _mm_loadu_si128(reinterpret_cast<const __m128i*>(pairs));
    _mm256_storeu_ps(floats, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(elements), 16)));
  }
  for (; steps > 0; --steps, pairs += kStepBytes, floats += 2) {
    const BFloat16Floats256::Operand pair = BFloat16Floats256::row_operand(pairs);
    floats[0] = pair.even[0];
    floats[1] = pair.odd[0];
  }
}

constexpr MicroKernels kWidened = micro_kernels<WidenedFloats256>();

constexpr MicroKernels bfloat16_kernels() {
  MicroKernels kernels = micro_kernels<BFloat16Floats256>();
  kernels.widened = &kWidened;
  kernels.widen_panel = widen_panel;
  kernels.widen_row = widen_row;
  return kernels;
}

}  // namespace

extern const InstructionSet kAvx2 = {
    "avx2", micro_kernels<Floats256>(), bfloat16_kernels(), exponentials<Floats256>, rank, read<Floats256>};

}  // namespace moebench::kernels
