// The memory in between the stages of a call.
#pragma once

#include "kernels/cuda/device_network.h"

namespace moebench::kernels::cuda {

// For calls of at most kFewTokens tokens.
class FewWorkspace {
 public:
  FewWorkspace(const NetworkMemory& network, Dtype dtype);
  const FewTokens& few() const { return few_; }

 private:
  DeviceMemory counters_, visited_, masks_, weights_, activations_;
  FewTokens few_{};
};

// For calls of at most most_tokens tokens. is_composite: with space for what is gathered, and for gate and up.
class ManyWorkspace {
 public:
  ManyWorkspace(const NetworkMemory& network, Dtype dtype, int64_t most_tokens, bool is_composite);
  const ManyTokens& many() const { return many_; }

 private:
  DeviceMemory starts_, visit_tokens_, visit_weights_, positions_, gathered_, gate_up_, shared_gate_up_, activations_,
      shared_activations_, contributions_;
  ManyTokens many_{};
};

// Inputs in rows of whole steps, and assignments where the caller keeps none.
struct CallWorkspace {
  CallWorkspace(const DeviceNetwork& network, Dtype dtype, int64_t most_tokens);
  DeviceMemory rows, experts, weights;
};

}  // namespace moebench::kernels::cuda
