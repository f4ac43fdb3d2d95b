// Of every token, the neurons that are most active by themselves: what no split into experts can choose better by
// magnitude. TEAL (arXiv 2408.14690) thresholds activations; a fixed number a token is AbsTopK, and gives the size that
// was asked for. It reads every activation before it chooses, so it is an upper bound and not a method.
#include <stdexcept>

#include <ATen/ATen.h>

#include "harness/converter.h"
#include "methods/layout.h"

namespace moebench {
namespace {

class TopkNeuronsObserver : public LayerObserver {
 public:
  void observe(const FfnChunk&) override {}

  LayerConversion convert(const DenseLayer& layer, const MoeShape& shape) override {
    LayerConversion conversion;
    conversion.shared = ExpertSpec{.neurons = at::arange(layer.weights.gate_proj.size(0), at::kLong),
                                   .top_neurons = shape.active_neurons()};
    return conversion;
  }
};

class TopkNeurons : public Converter {
 public:
  explicit TopkNeurons(const NoOptions&) {}

  MoeShape shape_for(double active_ratio, const LlamaConfig& config) const override {
    const int64_t eighths = active_eighths("topk_neurons", active_ratio);
    return parse_moe_shape("S" + std::to_string(eighths) + "A0E8", config.intermediate_size);
  }

  void check_shape(const MoeShape& shape, const LlamaConfig& config) const override {
    check_static_shape("topk_neurons", shape, config);
  }

  CalibrationRequest calibration() const override { return {.needs_text = false}; }

  std::unique_ptr<LayerObserver> observe_layer(const LayerContext&) const override {
    return std::make_unique<TopkNeuronsObserver>();
  }
};

const Registration<Converter, TopkNeurons, NoOptions> registration(
    "topk_neurons",
    "upper bound at equal activated size, not a method: of every token the neurons with the largest |h| (AbsTopK)");

}  // namespace
}  // namespace moebench
