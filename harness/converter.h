// What a conversion method implements. To add one: a .cpp in methods/ with a Converter, its options and a Registration.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "harness/checkpoint/checkpoint.h"
#include "harness/checkpoint/llama_config.h"
#include "harness/conversion.h"
#include "harness/evidence/calibration_text.h"
#include "harness/model/llama.h"
#include "harness/moe_shape.h"
#include "harness/registry.h"
#include "harness/retrain_stage.h"

namespace moebench {

// Which stream the layers after a converted one see.
enum class Propagation {
  kDense,      // the dense model's: methods on the same text share one pass
  kConverted,  // the converted layers' own (CMoE as published)
};

struct CalibrationRequest {
  bool needs_text = true;
  bool observes_layers = true;  // false: text is for prepare and finish alone, and observers are shown none
  Propagation propagation = Propagation::kDense;
};

// The dense layer that a conversion replaces.
struct DenseLayer {
  int64_t index = 0;
  const GatedMlpWeights& weights;
};

// What one layer's FFN saw of one calibration window: observe() is called once a window, in the text's order, so an
// observer may treat a chunk as a sample. The products are computed once, for all observers.
struct FfnChunk {
  const at::Tensor& inputs;       // [tokens, hidden_size], after the norm
  const at::Tensor& gate;         // [tokens, intermediate_size], gate_proj x: before silu
  const at::Tensor& up;           // [tokens, intermediate_size], up_proj x
  const at::Tensor& activations;  // [tokens, intermediate_size], silu(gate) * up
  const at::Tensor& residual;     // [tokens, hidden_size], the stream that the FFN's output is added to
  int64_t domain = 0;
};

class LayerObserver {
 public:
  virtual ~LayerObserver() = default;
  virtual void observe(const FfnChunk& chunk) = 0;
  // After the last chunk. Expert tensors in the layer's dtype; the same evidence and seed give the same bits.
  virtual LayerConversion convert(const DenseLayer& layer, const MoeShape& shape) = 0;
};

// What a method learnt from the whole model before its layers are visited: LLaMA-MoE's gradients, DIVE's clusters.
class Preparation {
 public:
  virtual ~Preparation() = default;
};

// A conversion's inputs, for steps that look at the whole model.
struct ConversionContext {
  const Checkpoint& checkpoint;
  const Precision& precision;
  const CalibrationText* text;  // null where the method needs none
  const MoeShape& shape;
  uint64_t seed = 0;
  std::function<void(double fraction)> progress;  // of this step; may be empty. What it throws ends the conversion
};

// A layer that is about to be converted.
struct LayerContext {
  const DenseLayer& dense;
  int64_t num_layers = 0;
  const MoeShape& shape;
  uint64_t seed = 0;                         // the run's, the same for every layer
  int64_t num_domains = 1;                   // of the calibration text: FfnChunk::domain is below it
  const Preparation* preparation = nullptr;  // what prepare returned
};

class Converter {
 public:
  virtual ~Converter() = default;
  // The method's published layout at this share of active FFN neurons (0 to 1). Throws std::invalid_argument where it
  // has none.
  virtual MoeShape shape_for(double active_ratio, const LlamaConfig& config) const = 0;
  // Throws std::invalid_argument if the method cannot make this shape.
  virtual void check_shape(const MoeShape& shape, const LlamaConfig& config) const = 0;
  virtual CalibrationRequest calibration() const = 0;
  // Before the first layer: whatever needs the whole model. Deterministic.
  virtual std::shared_ptr<const Preparation> prepare(const ConversionContext&) const { return nullptr; }
  // One for each layer; called in layer order.
  virtual std::unique_ptr<LayerObserver> observe_layer(const LayerContext& context) const = 0;
  // After the last layer: a policy over all of them (LaDiMo's). May change top_k, rule and keep_dense, and metadata.
  virtual void finish(const ConversionContext&, Conversion&) const {}
  // The published retraining recipe, learning rates and shares as published, steps scaled to whatever budget is given.
  // Empty: none is published, and the common one serves.
  virtual RetrainRecipe retrain_recipe() const { return {}; }
};

using ConverterRegistry = Registry<Converter>;

}  // namespace moebench
