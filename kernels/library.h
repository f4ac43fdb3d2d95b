// What somebody has today who writes a mixture with a library's operators: products by ATen, one expert after another.
#pragma once

#include <memory>

#include "kernels/moe_ffn.h"

namespace moebench::kernels {

// Refers to the network's weights. Threads are ATen's: the first call with another number sets it for the process.
// Throws std::invalid_argument as check_network does, and for a router where the processor has no AVX2.
std::unique_ptr<MoeFfnKernel> make_library(const MoeFfn& network);

}  // namespace moebench::kernels
