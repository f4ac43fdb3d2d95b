// What the others are held to: the definition, in double.
#pragma once

#include <memory>

#include "kernels/moe_ffn.h"

namespace moebench::kernels {

// Refers to the network's weights. Throws as check_network does.
std::unique_ptr<MoeFfnKernel> make_reference(const MoeFfn& network);

}  // namespace moebench::kernels
