// The dense parent as a method: every layer stays as it is.
#include <stdexcept>

#include "harness/converter.h"

namespace moebench {
namespace {

class DenseObserver : public LayerObserver {
 public:
  void observe(const FfnChunk&) override {}
  LayerConversion convert(const DenseLayer&, const MoeShape&) override { return {.keep_dense = true}; }
};

class Dense : public Converter {
 public:
  explicit Dense(const NoOptions&) {}

  MoeShape shape_for(double active_ratio, const LlamaConfig& config) const override {
    if (active_ratio != 1) throw std::invalid_argument("dense: every neuron is active; its only active ratio is 1");
    return parse_moe_shape("S1A0E1", config.intermediate_size);
  }

  void check_shape(const MoeShape& shape, const LlamaConfig& config) const override {
    if (shape != parse_moe_shape("S1A0E1", config.intermediate_size)) {
      throw std::invalid_argument("dense: keeps the layer whole, so its only shape is S1A0E1");
    }
  }

  CalibrationRequest calibration() const override { return {.needs_text = false}; }

  std::unique_ptr<LayerObserver> observe_layer(const LayerContext&) const override {
    return std::make_unique<DenseObserver>();
  }
};

const Registration<Converter, Dense, NoOptions> registration("dense", "the dense parent: every layer stays as it is");

}  // namespace
}  // namespace moebench
