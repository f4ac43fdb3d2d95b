// Every way that this program can compute a mixture's feed-forward network, by name.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/moe_ffn.h"

namespace moebench::kernels {

struct MoeFfnVariant {
  std::string name;
  std::string summary;        // one line
  std::vector<Dtype> dtypes;  // that it computes on this machine
  // Throws std::invalid_argument naming what of the network is not sound, std::bad_alloc.
  std::function<std::unique_ptr<MoeFfnKernel>(const MoeFfn& network)> create;
};

// Those of this machine: `reference`, `library`, `fused` where its processor has an instruction set for it, and
// `fused-<isa>` for each that it has, and the CUDA ones where it has a device.
const std::vector<MoeFfnVariant>& moe_ffn_variants();

// Throws std::invalid_argument naming those that exist, or why there is no CUDA.
const MoeFfnVariant& moe_ffn_variant(const std::string& name);

}  // namespace moebench::kernels
