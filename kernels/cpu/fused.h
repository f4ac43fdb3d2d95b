// One pass over packed weights: route, gate and up with silu(gate) * up, down with the weighted sum over experts.
#pragma once

#include <memory>

#include "kernels/cpu/micro_kernels.h"
#include "kernels/moe_ffn.h"

namespace moebench::kernels {

// Nothing is permuted and nothing is added atomically: an expert's rows are read where they stand, and a thread owns
// columns of the output. A token's bits depend neither on the number of threads nor on the tokens beside it. Throws
// std::invalid_argument as check_network does, std::bad_alloc.
std::unique_ptr<MoeFfnKernel> make_fused(const MoeFfn& network, const InstructionSet& instruction_set);

}  // namespace moebench::kernels
