// Gated MLPs side by side, trained together: the routed experts of a layer, or one of a kind (a shared expert, a dense
// layer).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include "harness/conversion.h"
#include "harness/model/feed_forward.h"
#include "harness/retraining/trained_weight.h"

namespace moebench {

// The weights that spec stands for in a layer: cut out of the dense ones or its own, with its updates, fp32.
GatedMlpWeights expert_weights(const GatedMlpWeights& dense, const ExpertSpec& spec);

// T tokens, V visits, D hidden_size, E experts, N neurons of all.
class TrainedExperts {
 public:
  // dense: the layer's own weights. At least one expert; widths may differ.
  TrainedExperts(const GatedMlpWeights& dense, const std::vector<ExpertSpec>& experts, const WeightTraining& training,
                 at::ScalarType dtype, at::Generator& generator);

  int64_t num_experts() const { return static_cast<int64_t>(widths_.size()); }
  int64_t num_neurons() const;  // N

  // The sum of all experts' outputs, times weights, [T, E] fp32, where defined. Products over all neurons at once.
  // hidden: [T, D] → [T, D].
  at::Tensor visit_all(const at::Tensor& hidden, const at::Tensor& weights, at::Generator& generator) const;
  // Rows that are sorted by their expert, counts[e] of each: [V, D] → [V, D].
  at::Tensor visit_sorted(const at::Tensor& hidden, const std::vector<int64_t>& counts, at::Generator& generator) const;

  void add_parameters(const std::string& name, std::vector<TrainedParameter>& parameters) const;
  // What training has made of the experts that the constructor was given.
  void write_to(std::vector<ExpertSpec>& experts) const;

 private:
  at::Tensor activations(const StackedFactors& gate, const StackedFactors& up, const at::Tensor& hidden,
                         at::Generator& generator) const;

  std::vector<int64_t> widths_, top_neurons_;
  TrainedWeight gate_, up_, down_;           // down transposed: [N, D], too
  std::optional<at::Tensor> output_biases_;  // [E, D]
};

}  // namespace moebench
