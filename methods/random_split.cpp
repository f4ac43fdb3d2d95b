// The random split baseline (LLaMA-MoE's RandomSplit): a seeded permutation of each layer's neurons, cut into experts.
#include <optional>

#include <ATen/ATen.h>

#include "harness/converter.h"
#include "methods/activation_markers.h"
#include "methods/layout.h"
#include "methods/llama_moe_gate.h"
#include "methods/random_linear.h"
#include "methods/representative_router.h"

namespace moebench {
namespace {

struct RandomSplitOptions {
  std::string router = "cmoe";

  void for_each(auto&& visit) {
    visit(
        "router", router,
        "cmoe: CMoE's analytic router on the random experts (needs calibration text); llama_moe: LLaMA-MoE's tanh MLP, "
        "untrained, weights scaled by experts / top_k; zero_linear: LLaMA-MoE's zero-initialised linear gate, whose "
        "ties always choose the first experts; oracle: largest output norm, computes every expert",
        {"cmoe", "llama_moe", "zero_linear", "oracle"});
  }
};

class RandomSplitObserver : public LayerObserver {
 public:
  RandomSplitObserver(std::string router, const DenseLayer& dense, uint64_t seed)
      : router_(std::move(router)), generator_(layer_generator(seed, dense.index)) {
    if (router_ == "cmoe") markers_ = cmoe_markers(dense.weights);
  }

  void observe(const FfnChunk& chunk) override {
    if (markers_) markers_->observe(chunk);
  }

  LayerConversion convert(const DenseLayer& layer, const MoeShape& shape) override {
    const int64_t num_neurons = layer.weights.gate_proj.size(0);
    const at::Tensor order = at::randperm(num_neurons, generator_, at::TensorOptions(at::kLong));
    LayerConversion conversion;
    conversion.top_k = shape.top_k;
    const int64_t num_shared = shape.num_shared_experts * shape.expert_intermediate_size;
    if (num_shared > 0) conversion.shared = ExpertSpec{.neurons = std::get<0>(order.narrow(0, 0, num_shared).sort())};
    for (int64_t first = num_shared; first < num_neurons; first += shape.expert_intermediate_size) {
      const at::Tensor neurons = order.narrow(0, first, shape.expert_intermediate_size);
      conversion.experts.push_back({.neurons = std::get<0>(neurons.sort())});
    }
    set_router(conversion, layer, shape);
    return conversion;
  }

 private:
  void set_router(LayerConversion& conversion, const DenseLayer& layer, const MoeShape& shape) const {
    if (markers_) {
      set_representative_router(conversion, layer, markers_->matrix());
    } else if (router_ == "llama_moe") {
      set_tanh_gate(conversion, layer, published_score_scale(shape), generator_);
    } else if (router_ == "zero_linear") {
      set_zero_linear_gate(conversion, layer, published_score_scale(shape));
    } else {
      conversion.router.kind = RouterKind::kOracle;
    }
  }

  std::string router_;
  at::Generator generator_;
  std::optional<ActivationMarkers> markers_;  // for the router "cmoe"
};

class RandomSplit : public Converter {
 public:
  explicit RandomSplit(RandomSplitOptions options) : options_(std::move(options)) {}

  MoeShape shape_for(double active_ratio, const LlamaConfig& config) const override {
    const int64_t eighths = active_eighths("random_split", active_ratio);
    return parse_moe_shape("S0A" + std::to_string(eighths) + "E8", config.intermediate_size);
  }

  void check_shape(const MoeShape& shape, const LlamaConfig& config) const override {
    check_partition_shape("random_split", shape, config);
  }

  CalibrationRequest calibration() const override { return {.needs_text = options_.router == "cmoe"}; }

  std::unique_ptr<LayerObserver> observe_layer(const LayerContext& context) const override {
    return std::make_unique<RandomSplitObserver>(options_.router, context.dense, context.seed);
  }

 private:
  RandomSplitOptions options_;
};

const Registration<Converter, RandomSplit, RandomSplitOptions> registration(
    "random_split", "a random permutation of the neurons cut into experts: the baseline of every split");

}  // namespace
}  // namespace moebench
