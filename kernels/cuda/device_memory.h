// The device's memory, and what its runtime says.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "kernels/cuda/platform.h"

namespace moebench::kernels::cuda {

// Throws std::runtime_error with `what` and the runtime's words, unless all is well.
void check(cudaError_t status, const std::string& what);

// Owns bytes on the current device; null where there are none.
class DeviceMemory {
 public:
  DeviceMemory() = default;
  // Throws std::runtime_error naming what the memory was to be for.
  DeviceMemory(size_t bytes, const std::string& name);
  DeviceMemory(DeviceMemory&& other) noexcept { *this = std::move(other); }
  DeviceMemory& operator=(DeviceMemory&& other) noexcept;
  ~DeviceMemory();

  template <class Value>
  Value* data() const {
    return static_cast<Value*>(data_);
  }

 private:
  void* data_ = nullptr;
};

// A copy of the host's values; waits for it.
template <class Value>
DeviceMemory uploaded(const std::vector<Value>& values, const std::string& name) {
  const size_t bytes = values.size() * sizeof(Value);
  DeviceMemory memory(bytes, name);
  if (bytes > 0) check(cudaMemcpy(memory.data<void>(), values.data(), bytes, cudaMemcpyHostToDevice), name);
  return memory;
}

}  // namespace moebench::kernels::cuda
