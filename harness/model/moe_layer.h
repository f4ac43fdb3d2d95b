// A mixture of experts in a layer's feed-forward slot.
#pragma once

#include <functional>
#include <memory>

#include "harness/conversion.h"
#include "harness/model/feed_forward.h"
#include "harness/model/llama.h"

namespace moebench {

// Which experts a chunk of tokens visited. E routed experts, K top_k.
struct Routing {
  at::Tensor experts;  // [tokens, K] int64
  at::Tensor weights;  // [tokens, K], what the experts' outputs are multiplied by
};

class MoeLayer : public FeedForward {
 public:
  // Cuts the experts out of the dense weights (copies).
  MoeLayer(const GatedMlpWeights& dense, const LayerConversion& conversion);
  ~MoeLayer() override;

  at::Tensor forward(const at::Tensor& hidden) const override;
  Routing route(const at::Tensor& hidden) const;

  // Sees every forward's routing from now on, for expert_load and measured activated parameters. Null: nobody does.
  // const: a layer in a model's slot is const, and watching does not change what it computes.
  void observe_routing(std::function<void(const Routing&)> observer) const;

  int64_t num_experts() const;
  int64_t expert_intermediate_size(int64_t expert) const;
  int64_t shared_intermediate_size() const;
  int64_t router_parameters() const;
  // Parameters of biases and own output vectors that every token uses, and those of one expert.
  int64_t always_active_parameters() const;         // shared expert with its bias, router, absent biases
  int64_t expert_parameters(int64_t expert) const;  // three projections and the output bias

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Puts the conversion's MoE layers into the model's slots; layers with keep_dense stay as they are.
void apply_conversion(const Conversion& conversion, LlamaModel& model);

}  // namespace moebench
