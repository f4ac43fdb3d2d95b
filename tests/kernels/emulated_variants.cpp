#include <gtest/gtest.h>

#include "kernels/cpu/fused.h"
#include "tests/kernels/tested_variants.h"

namespace moebench::kernels {

extern const InstructionSet kEmulatedTiles;  // emulated_tiles.cpp

// None on a processor that has not even the vectors around the tiles.
const std::vector<MoeFfnVariant>& tested_variants() {
  static const std::vector<MoeFfnVariant> variants = [] {
    std::vector<MoeFfnVariant> variants;
    if (__builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vl")) {
      variants.push_back({"fused-emulated_amx", "", {Dtype::kBFloat16}, [](const MoeFfn& network) {
                            return make_fused(network, kEmulatedTiles);
                          }});
    }
    return variants;
  }();
  return variants;
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(MoeFfnTest);

}  // namespace moebench::kernels
