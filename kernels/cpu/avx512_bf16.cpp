// Zen 4 and 5, Cooper Lake: products of bfloat16 pairs.
#include "kernels/cpu/avx512_bf16.h"

namespace moebench::kernels {

extern const InstructionSet kAvx512Bf16 = {
    "avx512_bf16",  micro_kernels<Floats512>(), micro_kernels<BFloat16Pairs>(), exponentials<Floats512>, rank,
    read<Floats512>};

}  // namespace moebench::kernels
