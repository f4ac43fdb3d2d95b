// A feed-forward network by kernels/: what evaluation, generation and latency compute with, where nothing is trained.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "harness/conversion.h"
#include "harness/model/feed_forward.h"
#include "harness/model/router.h"
#include "kernels/moe_ffn.h"

namespace moebench {

// All tensors of one dtype.
struct ExpertTensors {
  GatedMlpWeights weights;
  std::optional<at::Tensor> output_bias, absent_bias;  // [D]
};

struct MixtureTensors {
  std::vector<ExpertTensors> experts;
  std::optional<ExpertTensors> shared;
  RouterSpec router;  // kOracle has no kernel
  RoutingRule rule;
  int64_t top_k = 0;
};

class FusedFeedForward {
 public:
  // Null where there is no kernel for it: another device, dtype or processor. Copies the weights.
  static std::unique_ptr<FusedFeedForward> create(const MixtureTensors& mixture);

  // hidden: [T, D] of the weights' dtype, without gradients. routing: filled if not null and the mixture routes.
  // Each row's bits depend on that row alone.
  at::Tensor forward(const at::Tensor& hidden, Routing* routing = nullptr) const;

 private:
  FusedFeedForward(std::unique_ptr<kernels::MoeFfnKernel> kernel, int64_t top_k, bool is_adaptive)
      : kernel_(std::move(kernel)), top_k_(top_k), is_adaptive_(is_adaptive) {}

  std::unique_ptr<kernels::MoeFfnKernel> kernel_;
  int64_t top_k_;
  bool is_adaptive_;
};

// Whether gradients of hidden or of weights are asked for, which kernels do not know.
bool needs_gradients(const at::Tensor& hidden, const GatedMlpWeights& weights);

}  // namespace moebench
