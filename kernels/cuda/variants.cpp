#include "kernels/cuda/variants.h"

#include <stdexcept>

#include <cuda_runtime_api.h>

#include "kernels/cuda/moe_ffn.h"

namespace moebench::kernels::cuda {
namespace {

std::string reason() {
  int device = 0, major = 0, minor = 0, count = 0;
  for (const cudaError_t status : {cudaGetDeviceCount(&count), cudaGetDevice(&device),
                                   cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device),
                                   cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device)}) {
    if (status == cudaSuccess) continue;
    cudaGetLastError();  // or a later call would report it again
    constexpr int kMajor = CUDART_VERSION / 1000, kMinor = CUDART_VERSION % 1000 / 10;
    return "no GPU with a driver for CUDA " + std::to_string(kMajor) + "." + std::to_string(kMinor) + ": " +
           cudaGetErrorString(status);
  }
  if (major >= 8) return "";
  return "CUDA device " + std::to_string(device) + " has compute capability " + std::to_string(major) + "." +
         std::to_string(minor) + ", and 8.0 is needed";
}

MoeFfnVariant variant(const std::string& name, const std::string& summary, Strategy strategy) {
  const auto create = [name, strategy](const MoeFfn& network) {
    if (!why_unavailable().empty()) throw std::runtime_error(name + ": " + why_unavailable());
    return make_moe_ffn(network, {.strategy = strategy});
  };
  return {name, summary, {Dtype::kFloat32, Dtype::kBFloat16}, create};
}

}  // namespace

const std::string& why_unavailable() {
  static const std::string why = reason();
  return why;
}

std::vector<MoeFfnVariant> variants() {
  return {variant("cuda", "on the GPU, copies there and back included: cuda-decode for few tokens, else cuda-prefill",
                  Strategy::kAuto),
          variant("cuda-composite", "on the GPU, a kernel for each step", Strategy::kComposite),
          variant("cuda-prefill", "on the GPU, gather and activation within the products", Strategy::kPrefill),
          variant("cuda-decode", "on the GPU in three launches, weights read once", Strategy::kDecode)};
}

}  // namespace moebench::kernels::cuda
