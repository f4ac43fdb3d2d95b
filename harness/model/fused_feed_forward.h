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

// The same as kernels/ see it. Holds the tensors that it points into.
class KernelNetwork {
 public:
  // Whether kernels know such a mixture: its device, dtype and processor. Not asked of routers: kOracle has none.
  static bool exists_for(const MixtureTensors& mixture);
  explicit KernelNetwork(const MixtureTensors& mixture);
  const kernels::MoeFfn& network() const { return network_; }

 private:
  const at::Tensor& hold(const at::Tensor& tensor);
  const void* hold(const std::optional<at::Tensor>& tensor);
  kernels::GatedExpert expert_of(const ExpertTensors& expert);
  void set_router(const RouterSpec& router);
  void set_rule(const RoutingRule& rule);

  kernels::MoeFfn network_;
  std::vector<at::Tensor> held_;
};

class FusedFeedForward {
 public:
  // Null where there is no kernel for it (another device, dtype or processor). Copies the weights.
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
