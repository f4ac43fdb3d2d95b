#include "kernels/cuda/moe_ffn.h"
#include "tests/kernels/tested_variants.h"

namespace moebench::kernels {
namespace {

MoeFfnVariant variant(const std::string& name, cuda::Strategy strategy) {
  // Few tokens at once, so that small tests have calls in parts.
  const cuda::Options options{.strategy = strategy, .most_tokens = 64};
  return {name, "", {Dtype::kFloat32, Dtype::kBFloat16}, [options](const MoeFfn& network) {
            return cuda::make_moe_ffn(network, options);
          }};
}

}  // namespace

// The CUDA variants, their device code run by the CPU.
const std::vector<MoeFfnVariant>& tested_variants() {
  static const std::vector<MoeFfnVariant> variants = {
      variant("cuda-composite", cuda::Strategy::kComposite), variant("cuda-decode", cuda::Strategy::kDecode),
      variant("cuda-prefill", cuda::Strategy::kPrefill), variant("cuda", cuda::Strategy::kAuto)};
  return variants;
}

}  // namespace moebench::kernels
