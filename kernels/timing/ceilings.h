// What the machine can do at best, measured where the rest is measured: no kernel can pass it.
#pragma once

#include "kernels/cpu/micro_kernels.h"
#include "kernels/moe_ffn.h"

namespace moebench::kernels {

struct Ceilings {
  double read_bytes_per_second = 0;  // a pure read of memory far larger than the caches, all threads
  double float32_flops = 0;          // chains of products and sums that stay in registers, all threads
  double bfloat16_flops = 0;
  double flops(Dtype dtype) const { return dtype == Dtype::kFloat32 ? float32_flops : bfloat16_flops; }
};

// The best of several tries, about a second in all.
Ceilings measure_ceilings(const InstructionSet& instruction_set, int num_threads);

}  // namespace moebench::kernels
