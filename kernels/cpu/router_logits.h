// The router's scores of tokens, by the micro-kernels.
#pragma once

#include <vector>

#include "kernels/cpu/micro_kernels.h"
#include "kernels/cpu/packed_weights.h"

namespace moebench::kernels {

class PackedRouter {
 public:
  // What its panels take of a PanelMemory.
  static int64_t panel_bytes(const MoeFfn& network);
  PackedRouter(const MoeFfn& network, const InstructionSet& instruction_set, PanelMemory& memory);

  // rows: num_rows pointers to inputs [D], at most micro_kernels.max_rows. logits: [num_rows, E padded to 32].
  void logits(const void* const* rows, int num_rows, float* logits) const;
  int64_t padded_experts() const { return padded_experts_; }

 private:
  void multiply(const Panels& panels, const void* const* rows, int num_rows, float* products, bool adds) const;
  void add_squares(const void* const* rows, int num_rows, float* logits) const;
  void gate_rows(const void* const* rows, int num_rows, float* logits) const;
  void tanh_mlp(int num_rows, float* logits) const;

  Router::Kind kind_;
  Dtype dtype_;
  int64_t hidden_size_, num_experts_, padded_experts_;
  const MicroKernels& micro_kernels_;
  Panels first_, second_;
  std::vector<float> bias_;        // [E] padded, or empty
  std::vector<float> mlp_second_;  // kTanhMlp: transposed, [E, E padded]
};

}  // namespace moebench::kernels
