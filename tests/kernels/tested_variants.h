// What the contract tests run over. Each executable that has them defines it: kernels of this machine, or kernels whose
// instructions it has not, emulated.
#pragma once

#include <vector>

#include "kernels/variants.h"

namespace moebench::kernels {

const std::vector<MoeFfnVariant>& tested_variants();

}  // namespace moebench::kernels
