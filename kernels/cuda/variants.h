// The CUDA variants of this machine.
#pragma once

#include <string>
#include <vector>

#include "kernels/variants.h"

namespace moebench::kernels::cuda {

// Why this machine has none: no device, too old a one, or a program without CUDA. Empty where it has. Asks the driver,
// which takes a moment, once.
const std::string& why_unavailable();

// `cuda`, `cuda-composite`, `cuda-prefill`, `cuda-decode`, whether available or not. Called with the host's pointers,
// they copy inputs and outputs to the device and back.
std::vector<MoeFfnVariant> variants();

}  // namespace moebench::kernels::cuda
