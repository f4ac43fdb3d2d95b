// What a conversion method implements. To add one: a .cpp in methods/ with a Converter, its options and a Registration.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "harness/checkpoint/llama_config.h"
#include "harness/conversion.h"
#include "harness/moe_shape.h"
#include "harness/registry.h"

namespace moebench {

// Which stream the layers after a converted one see.
enum class Propagation {
  kDense,      // the dense model's: methods on the same text share one pass
  kConverted,  // the converted layers' own (CMoE as published)
};

struct CalibrationRequest {
  bool needs_text = true;
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

class Converter {
 public:
  virtual ~Converter() = default;
  // The method's published layout at this share of active FFN neurons (0 to 1). Throws std::invalid_argument where it
  // has none.
  virtual MoeShape shape_for(double active_ratio, const LlamaConfig& config) const = 0;
  // Throws std::invalid_argument if the method cannot make this shape.
  virtual void check_shape(const MoeShape& shape, const LlamaConfig& config) const = 0;
  virtual CalibrationRequest calibration() const = 0;
  // One for each layer; called in layer order. seed: the run's, the same for every layer.
  virtual std::unique_ptr<LayerObserver> observe_layer(int64_t layer, const DenseLayer& dense, uint64_t seed) const = 0;
};

using ConverterRegistry = Registry<Converter>;

}  // namespace moebench
