// The slot that conversion replaces: a layer's feed-forward network, dense or a mixture of experts.
#pragma once

#include <memory>
#include <mutex>
#include <optional>

#include <ATen/core/Tensor.h>

namespace moebench {

// F neurons, D hidden_size. Neuron i is row i of gate_proj and up_proj with column i of down_proj.
struct GatedMlpWeights {
  at::Tensor gate_proj;  // [F, D]
  at::Tensor up_proj;    // [F, D]
  at::Tensor down_proj;  // [D, F]
};

class FeedForward {
 public:
  virtual ~FeedForward() = default;
  // hidden: [tokens, hidden_size], after the norm. Returns the same shape, without the residual.
  virtual at::Tensor forward(const at::Tensor& hidden) const = 0;
};

// h = silu(gate x) * (up x): [tokens, intermediate_size].
at::Tensor gated_activations(const GatedMlpWeights& weights, const at::Tensor& hidden);

class FusedFeedForward;

// The dense network.
class GatedMlp : public FeedForward {
 public:
  explicit GatedMlp(GatedMlpWeights weights);
  ~GatedMlp() override;
  // In single precision by a fused kernel where there is one and no gradient is asked for, else by operators: in
  // bfloat16 the kernel rounds less often but elsewhere, and a dense model's drift is held to what transformers, which
  // rounds as operators do, was measured to have. The kernel copies the weights when it is first asked: they must not
  // be changed in place after that.
  at::Tensor forward(const at::Tensor& hidden) const override;
  at::Tensor forward_by_operators(const at::Tensor& hidden) const;
  const GatedMlpWeights& weights() const { return weights_; }

 private:
  GatedMlpWeights weights_;
  mutable std::once_flag fused_once_;
  mutable std::unique_ptr<FusedFeedForward> fused_;  // packed at the first forward pass that it can serve
};

}  // namespace moebench
