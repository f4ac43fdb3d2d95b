// A mixture of experts as a linear function of what its down projections and biases read: output = features · rows.
// T tokens, D hidden_size, E routed experts, P features.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <ATen/core/Tensor.h>

#include "harness/conversion.h"
#include "harness/model/feed_forward.h"
#include "harness/model/moe_layer.h"

namespace moebench {

// Features, in this order: the shared expert's activations; every routed expert's, times its weight (0 where it is not
// visited); E times whether an expert is absent; E times an expert's weight; 1. Their rows are the down projections,
// absent biases, output biases and the shared output bias. With a shared expert the third and the last are there,
// without one the fourth alone, which spans the same; the others join where the conversion has such biases already.
class MoeReadout {
 public:
  MoeReadout(const GatedMlpWeights& dense, const LayerConversion& conversion);

  int64_t num_features() const { return num_neurons_ + num_biases_; }
  int64_t num_biases() const { return num_biases_; }        // the last of the features
  at::Tensor features(const at::Tensor& inputs) const;      // inputs: [T, D] → [T, P] fp32
  at::Tensor rows() const;                                  // [P, D] double, as they are in the conversion
  LayerConversion with_rows(const at::Tensor& rows) const;  // stored in the layer's dtype

 private:
  // Of conversion: the shared expert first; one bias a bias feature.
  std::vector<ExpertSpec*> experts_of(LayerConversion& conversion) const;
  std::vector<std::optional<at::Tensor>*> biases_of(LayerConversion& conversion) const;

  GatedMlpWeights dense_;
  LayerConversion conversion_;
  MoeLayer layer_;
  bool has_absent_, has_output_;
  int64_t num_neurons_ = 0, num_biases_ = 0;
  at::Tensor owner_;  // [neurons of routed experts] int64: whose
};

}  // namespace moebench
