// Skylake-X to Ice Lake: bfloat16 is taken apart into floats.
#include "kernels/cpu/avx512.h"

namespace moebench::kernels {
namespace {

struct BFloat16Floats512 {
  using Vector = __m512;
  using Element = uint16_t;
  struct Operand {
    __m512 even, odd;
  };
  static constexpr int kVectors = 2, kMaxRows = 12;

  static MOEBENCH_INLINE Operand taken_apart(__m512i pairs) {
    return {_mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16)),
            _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32(-65536)))};
  }
  static MOEBENCH_INLINE Operand panel_operand(const char* address) { return taken_apart(_mm512_loadu_si512(address)); }
  static MOEBENCH_INLINE Operand row_operand(const char* address) {
    return taken_apart(_mm512_set1_epi32(load_integer(address)));
  }
  static MOEBENCH_INLINE Vector fused(Vector a, Vector b, Vector c) { return _mm512_fmadd_ps(a, b, c); }
  static MOEBENCH_INLINE Vector multiply_add(Vector sum, Operand row, Operand column) {
    return fused(row.odd, column.odd, fused(row.even, column.even, sum));
  }
  // To the nearest, ties to even; not-a-number stays so.
  static MOEBENCH_INLINE void store(Element* address, Vector values) {
    const __m512i bits = _mm512_castps_si512(values);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i nearest = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
    const __mmask16 is_nan = _mm512_cmp_ps_mask(values, values, _CMP_UNORD_Q);
    const __m512i rounded = _mm512_mask_or_epi32(nearest, is_nan, bits, _mm512_set1_epi32(0x400000));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(address), _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16)));
  }
};

}  // namespace

extern const InstructionSet kAvx512 = {
    "avx512",       micro_kernels<Floats512>(), micro_kernels<BFloat16Floats512>(), exponentials<Floats512>, rank,
    read<Floats512>};

}  // namespace moebench::kernels
