// From a token's router logits to its experts and their weights, in float.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/cpu/micro_kernels.h"
#include "kernels/moe_ffn.h"

namespace moebench::kernels {

// The space that one thread chooses in, so that choosing allocates nothing.
class ExpertChooser {
 public:
  ExpertChooser(const RoutingRule& rule, int64_t num_experts, int64_t top_k, const InstructionSet& instruction_set);

  // logits: [E]. experts and weights: [K], as MoeFfnCall says.
  void choose(const float* logits, int32_t* experts, float* weights);

 private:
  const float* probabilities(const float* logits);  // softmax over all experts
  void order(const float* scores, int32_t* experts);
  void leave_unvisited(const float* probabilities, int32_t* experts) const;

  const RoutingRule& rule_;
  const int64_t num_experts_, top_k_;
  const InstructionSet& instruction_set_;
  std::vector<float> logits_, probabilities_;  // [E] padded
  std::vector<int32_t> keys_, ranks_;          // [E]
};

}  // namespace moebench::kernels
