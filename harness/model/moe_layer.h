// A mixture of experts in a layer's feed-forward slot.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "harness/conversion.h"
#include "harness/model/feed_forward.h"
#include "harness/model/llama.h"
#include "harness/model/router.h"

namespace moebench {

class FusedFeedForward;
struct MixtureTensors;

class MoeLayer : public FeedForward {
 public:
  // Cuts the experts out of the dense weights (copies), in their dtype and on their device.
  // Throws std::invalid_argument if the conversion was not made for such a layer.
  MoeLayer(const GatedMlpWeights& dense, const LayerConversion& conversion);
  ~MoeLayer() override;

  // Tokens are grouped by expert; an expert that nobody visits computes nothing. By a fused kernel where there is one
  // and no gradient of hidden is asked for, else by operators, which differ in rounding: in bf16 they round scores,
  // activations and each expert's output, the kernel activations and the sum. Deterministic.
  at::Tensor forward(const at::Tensor& hidden) const override;
  // The latter, for whoever compares.
  at::Tensor forward_by_operators(const at::Tensor& hidden) const;
  Routing route(const at::Tensor& hidden) const;

  // Its weights, router and rule. Nothing for a bound (an oracle router, a token's top neurons), which has no kernel.
  std::optional<MixtureTensors> tensors() const;

  // How much a visit of each expert changes the output: [T, E] fp32, norms of the experts' outputs without weights.
  // What an oracle routes by. Computes every expert.
  at::Tensor contribution_norms(const at::Tensor& hidden) const;

  // Sees every forward's input and routing from now on, for expert_load, routing_overlap and measured activated
  // parameters. Null: nobody does. const: a layer in a model's slot is const, and watching does not change what it
  // computes.
  using RoutingObserver = std::function<void(const at::Tensor& hidden, const Routing&)>;
  void observe_routing(RoutingObserver observer) const;

  int64_t num_experts() const;  // routed
  int64_t expert_intermediate_size(int64_t expert) const;
  int64_t shared_active_neurons() const;  // that a token uses; 0 without a shared expert

  // Counts are numbers of elements. Router: its own tensors; not the rule's selection bias and expert scale, which are
  // 2 E numbers without a product.
  int64_t router_parameters() const;
  // What every token uses: the shared expert's three projections and output bias, the router, the absent biases.
  int64_t always_active_parameters() const;
  // What is stored of the shared expert and no token uses: all but its top neurons, in a bound.
  int64_t idle_parameters() const;
  int64_t expert_parameters(int64_t expert) const;  // three projections and the output bias

 private:
  at::Tensor forward_fused(const FusedFeedForward& fused, const at::Tensor& hidden) const;

  struct State;
  std::unique_ptr<State> state_;
};

// Puts the conversion's MoE layers into the model's slots and its retrained tensors into the model; layers with
// keep_dense stay as they are. Throws std::invalid_argument if the conversion was not made for this model.
void apply_conversion(const Conversion& conversion, LlamaModel& model);

}  // namespace moebench
