// One decoder layer while it is trained.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include "harness/checkpoint/checkpoint.h"
#include "harness/conversion.h"
#include "harness/model/rotary_embedding.h"
#include "harness/retraining/trained_mixture.h"
#include "harness/retraining/trained_weight.h"

namespace moebench {

// Where training starts: the checkpoint's tensors with what earlier retraining changed of them.
struct WeightSource {
  const Checkpoint& checkpoint;
  const Conversion& conversion;

  at::Tensor load(const std::string& name) const;  // fp32
};

// A one-dimensional weight, fp32, a leaf where it is trained.
at::Tensor load_norm(const WeightSource& source, const std::string& name, bool is_trained);

// B batch, T tokens, D hidden_size.
class TrainedLayer {
 public:
  TrainedLayer(const WeightSource& source, int64_t index, const RetrainStage& stage, at::ScalarType dtype,
               std::shared_ptr<const RotaryEmbedding> rotary_embedding, const at::Tensor& noise_weight,
               at::Generator& generator);

  // residual: [B, T, D] → the same, through attention and the feed-forward slot.
  at::Tensor forward(const at::Tensor& residual, LayerPass& pass) const;

  void add_parameters(std::vector<TrainedParameter>& parameters) const;
  TrainedMixture& mixture() { return mixture_; }
  const TrainedMixture& mixture() const { return mixture_; }

  // What training has made of the layer that source describes.
  void write_to(Conversion& conversion) const;

 private:
  at::Tensor attend(const at::Tensor& residual, LayerPass& pass) const;
  void write_weight(const std::string& name, const TrainedWeight& weight, size_t block, Conversion& conversion) const;
  void write_dense(Conversion& conversion) const;

  std::string prefix_;
  int64_t index_;
  LlamaConfig config_;
  bool trains_norms_;
  std::shared_ptr<const RotaryEmbedding> rotary_embedding_;
  std::map<std::string, at::Tensor> norms_;  // by short name
  TrainedWeight qkv_proj_, o_proj_;          // q, k and v as blocks
  std::optional<at::Tensor> qkv_bias_;
  bool is_dense_;
  TrainedMixture mixture_;
};

}  // namespace moebench
