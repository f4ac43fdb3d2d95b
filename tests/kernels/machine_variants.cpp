#include "tests/kernels/tested_variants.h"

namespace moebench::kernels {

const std::vector<MoeFfnVariant>& tested_variants() { return moe_ffn_variants(); }

}  // namespace moebench::kernels
