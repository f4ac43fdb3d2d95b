// The random split baseline (LLaMA-MoE's RandomSplit): a seeded permutation of each layer's neurons, cut into experts.
#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <random>

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include "harness/converter.h"
#include "methods/activation_markers.h"
#include "methods/analytic_router.h"
#include "methods/layout.h"
#include "methods/marker_clusters.h"

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

constexpr int64_t kMarkedNeurons = 10;  // CMoE's K_a

at::Generator layer_generator(uint64_t seed, int64_t layer) {
  // seed_seq mixes, so that neighbouring seeds and layers get unrelated permutations.
  std::seed_seq sequence{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32), static_cast<uint32_t>(layer)};
  std::array<uint32_t, 2> words;
  sequence.generate(words.begin(), words.end());
  return at::make_generator<at::CPUGeneratorImpl>((uint64_t{words[1]} << 32) | words[0]);
}

// torch.nn.Linear's initialisation without bias.
at::Tensor default_linear_weight(int64_t out, int64_t in, at::Generator generator, at::ScalarType dtype) {
  const double bound = 1 / std::sqrt(static_cast<double>(in));
  return at::empty({out, in}, at::kFloat).uniform_(-bound, bound, std::move(generator)).to(dtype);
}

// TopKBalancedNoisyGate in evaluation: softmax over the chosen, times experts / top_k (the CPT scripts' score scale).
void set_llama_moe_rule(LayerConversion& conversion, const MoeShape& shape) {
  conversion.rule.softmax = RoutingRule::Softmax::kAfterTopK;
  conversion.rule.weights = RoutingRule::Weights::kScores;
  conversion.rule.scale = static_cast<double>(shape.num_routed_experts()) / static_cast<double>(shape.top_k);
}

class RandomSplitObserver : public LayerObserver {
 public:
  RandomSplitObserver(std::string router, const DenseLayer& dense, uint64_t seed)
      : router_(std::move(router)), generator_(layer_generator(seed, dense.index)) {
    if (router_ != "cmoe") return;
    markers_.emplace(dense.weights, ActivationScore::kNormalised,
                     std::min(kMarkedNeurons, dense.weights.gate_proj.size(0)));
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
  void set_router(LayerConversion& conversion, const DenseLayer& layer, const MoeShape& shape) {
    const at::ScalarType dtype = layer.weights.gate_proj.scalar_type();
    const int64_t hidden_size = layer.weights.gate_proj.size(1);
    const int64_t num_experts = shape.num_routed_experts();
    if (markers_) {
      set_representatives(conversion, layer);
    } else if (router_ == "llama_moe") {
      conversion.router.kind = RouterKind::kTanhMlp;
      conversion.router.tensors = {{"first", default_linear_weight(num_experts, hidden_size, generator_, dtype)},
                                   {"second", default_linear_weight(num_experts, num_experts, generator_, dtype)}};
      set_llama_moe_rule(conversion, shape);
    } else if (router_ == "zero_linear") {
      conversion.router.kind = RouterKind::kLinear;
      conversion.router.tensors = {{"weight", at::zeros({num_experts, hidden_size}, dtype)}};
      set_llama_moe_rule(conversion, shape);
    } else {
      conversion.router.kind = RouterKind::kOracle;
    }
  }

  void set_representatives(LayerConversion& conversion, const DenseLayer& layer) const {
    const MarkerMatrix markers = markers_->matrix();
    std::vector<int64_t> representatives;
    for (const ExpertSpec& expert : conversion.experts) {
      const std::span cluster(expert.neurons.const_data_ptr<int64_t>(), static_cast<size_t>(expert.neurons.numel()));
      representatives.push_back(representative(markers, cluster));
    }
    set_analytic_router(conversion, layer, representatives);
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
