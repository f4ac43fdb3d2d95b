// One pass over packed weights: route, gate and up with silu(gate) * up, down with the weighted sum over experts.
#pragma once

#include <memory>

#include "kernels/cpu/micro_kernels.h"
#include "kernels/moe_ffn.h"

namespace moebench::kernels {

// Up to so many tokens weights are what takes time: threads share out the panels evenly, each a long stretch of memory,
// and a panel meets all its rows before the next is read. dispatch_benchmark measures whether another number were
// better.
inline constexpr int64_t kFewTokens = 96;

// Nothing is permuted and nothing is added atomically: an expert's rows are read where they stand, and a thread owns
// columns of the output. A token's bits depend neither on the number of threads nor on the tokens beside it, nor on
// few_tokens. Throws std::invalid_argument as check_network does, std::bad_alloc.
std::unique_ptr<MoeFfnKernel> make_fused(const MoeFfn& network, const InstructionSet& instruction_set,
                                         int64_t few_tokens = kFewTokens);

}  // namespace moebench::kernels
