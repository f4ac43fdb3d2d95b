#include "kernels/cuda/device_memory.h"

#include <stdexcept>

namespace moebench::kernels::cuda {

void check(cudaError_t status, const std::string& what) {
  if (status == cudaSuccess) return;
  throw std::runtime_error("cuda: " + what + ": " + cudaGetErrorString(status));
}

DeviceMemory::DeviceMemory(size_t bytes, const std::string& name) {
  if (bytes == 0) return;
  const cudaError_t status = cudaMalloc(&data_, bytes);
  if (status == cudaSuccess) return;
  cudaGetLastError();  // or a later call would report it again
  check(status, name + ", " + std::to_string(bytes) + " bytes of the device's memory");
}

DeviceMemory& DeviceMemory::operator=(DeviceMemory&& other) noexcept {
  std::swap(data_, other.data_);
  return *this;
}

DeviceMemory::~DeviceMemory() { cudaFree(data_); }

}  // namespace moebench::kernels::cuda
