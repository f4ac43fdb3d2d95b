// A network's weights on the device.
#pragma once

#include <vector>

#include "kernels/cuda/device_memory.h"
#include "kernels/cuda/layout.h"

namespace moebench::kernels::cuda {

class NetworkMemory {
 public:
  // Copies the weights. network is sound.
  explicit NetworkMemory(const MoeFfn& network);

  const DeviceNetwork& network() const { return network_; }
  int64_t widest_routed() const { return widest_routed_; }  // padded; 0: no routed experts that a token can visit
  int64_t shared_width() const { return shared_width_; }    // padded; 0: none

 private:
  template <class Value>
  const Value* keep(const std::vector<Value>& values, const std::string& name);
  DeviceExpert copy_expert(const GatedExpert& expert, Dtype dtype, const std::string& name);
  void copy_experts(const MoeFfn& network);
  void copy_router(const MoeFfn& network);

  std::vector<DeviceMemory> memory_;
  DeviceNetwork network_{};
  int64_t widest_routed_ = 0, shared_width_ = 0;
};

}  // namespace moebench::kernels::cuda
