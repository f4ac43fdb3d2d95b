// A layer's feed-forward slot while it is trained: a mixture of experts or the dense network.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include "harness/conversion.h"
#include "harness/retraining/expert_dispatch.h"
#include "harness/retraining/routing_training.h"
#include "harness/retraining/trained_experts.h"

namespace moebench {

// What one forward pass of a layer draws on and leaves behind.
struct LayerPass {
  at::Generator generator;  // of dropout and routing noise
  at::Tensor balance_loss;  // scalar with the stage's factors in it; undefined: none
  at::Tensor visits;        // [E] int64; undefined where nothing is routed
};

// T tokens, D hidden_size, E routed experts.
class TrainedMixture {
 public:
  // noise_weight: [E, D] fp32, from an earlier stage; undefined: a new one where the stage has noise. generator draws
  // what training starts from.
  TrainedMixture(const GatedMlpWeights& dense, const LayerConversion& conversion, const RetrainStage& stage,
                 at::ScalarType dtype, const at::Tensor& noise_weight, at::Generator& generator);

  // hidden: [T, D], after the norm → the same shape.
  at::Tensor forward(const at::Tensor& hidden, LayerPass& pass) const;

  void add_parameters(const std::string& prefix, std::vector<TrainedParameter>& parameters) const;
  // After a step in which the experts were visited so often (CMoE's balancing).
  void step_selection_bias(const at::Tensor& visits);
  at::Tensor selection_bias() const;                         // undefined: none that the stage moves
  at::Tensor noise_weight() const { return noise_weight_; }  // training state only: no part of the conversion

  // What training has made of the layer that the constructor was given.
  void write_to(LayerConversion& conversion) const;
  // Of a layer that is kept dense: its three projections as one expert.
  ExpertSpec dense_expert() const;

 private:
  bool routes() const { return experts_.has_value(); }
  RouterSpec router_in(at::ScalarType dtype) const;
  NoisyLogits logits_for(const at::Tensor& hidden, LayerPass& pass) const;
  at::Tensor mix_all(const at::Tensor& hidden, const NoisyLogits& logits, LayerPass& pass) const;
  at::Tensor visit_chosen(const at::Tensor& hidden, const NoisyLogits& logits, LayerPass& pass) const;
  bool grouping_pays() const;
  void balance(const NoisyLogits& logits, const Routing& routing, LayerPass& pass) const;

  RetrainStage stage_;
  std::optional<TrainedExperts> experts_, shared_;
  std::optional<at::Tensor> absent_biases_;  // [E, D]
  RouterSpec router_;                        // fp32, leaves where they are trained
  RoutingRule rule_;                         // fp32
  int64_t top_k_ = 0;
  at::Tensor noise_weight_;
};

}  // namespace moebench
