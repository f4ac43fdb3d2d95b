// Which generations of x86 vector instructions the fused kernel can use here.
#pragma once

#include <string>
#include <vector>

#include "kernels/cpu/micro_kernels.h"

namespace moebench::kernels {

// Best first: avx512_amx, avx512_bf16, avx512, avx2. Empty on a processor without AVX2.
std::vector<const InstructionSet*> machine_instruction_sets();

// The best, or the one that the environment variable MOEBENCH_ISA names; null on a processor without AVX2. Throws
// std::invalid_argument where this machine has not what is named.
const InstructionSet* chosen_instruction_set();

// Whether it is AVX2's: set may be null.
bool is_avx2(const InstructionSet* set);

}  // namespace moebench::kernels
