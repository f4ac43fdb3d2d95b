// A converted model as a retraining stage trains it: its forward and backward pass, its parameters, and what they make
// of the conversion.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>

#include "harness/checkpoint/checkpoint.h"
#include "harness/conversion.h"
#include "harness/retrain_stage.h"
#include "harness/retraining/trained_layer.h"
#include "harness/retraining/trained_weight.h"

namespace moebench {

struct TrainableModelOptions {
  at::ScalarType dtype = at::kFloat;      // of frozen weights and products
  bool activation_checkpointing = false;  // hold one layer's activations, compute each twice
  uint64_t seed = 0;                      // of what training starts from
};

// By layer: noise maps that are trained through several stages, and are no part of a conversion.
using NoiseWeights = std::map<int64_t, at::Tensor>;

// B batch, T tokens, D hidden_size.
class TrainableModel {
 public:
  // Starts at the conversion, earlier retraining included. checkpoint must outlive this.
  TrainableModel(const Checkpoint& checkpoint, const Conversion& conversion, const RetrainStage& stage,
                 const TrainableModelOptions& options, const NoiseWeights& noise_weights = {});
  ~TrainableModel();

  struct Loss {
    double cross_entropy = 0;        // sum over the predicted tokens
    double balance = 0;              // sum over layers, as it is added to the mean cross-entropy
    std::vector<at::Tensor> visits;  // per layer [E] int64; undefined where nothing is routed
  };
  // Adds the gradients of factor * cross_entropy + balance_factor * balance to the parameters'. ids: [B, T] int64, T at
  // least 2; every token but a window's first is predicted. seed: of this batch's dropout and noise.
  Loss add_gradients(const at::Tensor& ids, double factor, double balance_factor, uint64_t seed);

  // Final hidden states after the last norm, [B, T, D], without gradients; routed as in training, without dropout's and
  // noise's randomness where the stage has none.
  at::Tensor forward(const at::Tensor& ids, uint64_t seed = 0) const;

  // Of the predicted tokens, by forward.
  double mean_cross_entropy(const at::Tensor& ids) const;

  const std::vector<TrainedParameter>& parameters() const { return parameters_; }
  // After a step in which experts were visited so often; per layer.
  void step_selection_biases(const std::vector<at::Tensor>& visits);
  // Trained by no gradient, for resuming: to be written into.
  std::vector<TrainedParameter> selection_biases() const;
  NoiseWeights noise_weights() const;

  // The conversion that the constructor was given with what training made of it.
  Conversion conversion() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
  std::vector<TrainedParameter> parameters_;
};

// Whether a stage would train or move anything of such a conversion.
bool trains_something(const RetrainStage& stage, const Conversion& conversion);

}  // namespace moebench
