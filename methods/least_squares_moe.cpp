// A method of our own, from closed forms only: the neurons of the most energy are always on, the rest is clustered by
// which tokens they write for, a quadratic regression routes, and down_proj is refitted on what is active, layer by
// layer on the converted model's own stream.
#include <algorithm>
#include <cmath>
#include <stdexcept>

#include <ATen/ATen.h>

#include "harness/adjustment/adjustment_preparation.h"
#include "harness/adjustment/layer_adjustment.h"
#include "harness/converter.h"
#include "methods/activation_gram.h"
#include "methods/activation_markers.h"
#include "methods/analytic_router.h"
#include "methods/balanced_k_means.h"
#include "methods/fluctuation_pruning.h"
#include "methods/layout.h"

namespace moebench {
namespace {

constexpr const char* kName = "least_squares_moe";

struct LeastSquaresMoeOptions {
  int64_t experts = 48;
  AdjustmentOptions adjustment{
      .router = "ridge", .compensation = "least_squares", .token_weights = "residual", .propagate = "converted"};

  void for_each(auto&& visit) {
    visit("experts", experts,
          "most experts of the layout for an active ratio, down to 16 neurons each; fewer where they do not divide the "
          "layer. A shape given by name has its own");
    // Here the method's own router is CMoE's, reading each cluster's neuron of the most energy.
    adjustment.for_each(visit);
  }
};

constexpr int64_t kProfileTokens = 3072;  // enough to tell neurons apart
constexpr int64_t kClusterIterations = 8;

class LeastSquaresMoeObserver : public LayerObserver {
 public:
  // preparation: null where nothing was prepared.
  LeastSquaresMoeObserver(const LeastSquaresMoeOptions& options, const LayerContext& context,
                          const AdjustmentPreparation* preparation)
      : shape_(budgeted_shape(options.adjustment, context, preparation)),
        adjustment_(options.adjustment, context.dense, preparation),
        energy_(context.dense.weights.gate_proj.size(0)) {}

  void observe(const FfnChunk& chunk) override {
    adjustment_.observe(chunk);
    energy_.observe(chunk.activations, adjustment_.evidence().last_window().weights);
  }

  LayerConversion convert(const DenseLayer& layer, const MoeShape&) override {
    const at::Tensor importance = energy_.mean() * squared_output_norms(layer.weights.down_proj);
    const std::vector<int64_t> shared =
        most_important(importance, shape_.num_shared_experts * shape_.expert_intermediate_size);
    const at::Tensor routed = at::tensor(other_neurons(shared, importance.numel()), at::kLong);

    LayerConversion conversion;
    conversion.top_k = shape_.top_k;
    if (!shared.empty()) conversion.shared = expert_of(shared);
    const at::Tensor labels = clusters(layer, routed, importance.index_select(0, routed));
    std::vector<int64_t> representatives;
    for (int64_t expert = 0; expert < shape_.num_routed_experts(); ++expert) {
      const at::Tensor neurons = routed.masked_select(labels.eq(expert));
      conversion.experts.push_back({.neurons = neurons});
      representatives.push_back(neurons[importance.index_select(0, neurons).argmax()].item<int64_t>());
    }
    set_analytic_router(conversion, layer, representatives);
    adjustment_.apply(conversion);
    return conversion;
  }

 private:
  // [routed neurons] int64.
  at::Tensor clusters(const DenseLayer& layer, const at::Tensor& routed, const at::Tensor& importance) const {
    const at::Tensor points = profiles(layer, routed);
    const at::Tensor seeds = distant_seeds(points, importance);
    return balanced_k_means(points, {.num_clusters = shape_.num_routed_experts(),
                                     .max_iterations = kClusterIterations,
                                     .initial_centroids = points.index_select(0, seeds)})
        .labels;
  }

  // How much each neuron adds to each token's output, relative to the stream; of unit length. [neurons, tokens].
  at::Tensor profiles(const DenseLayer& layer, const at::Tensor& routed) const {
    const TokenSample tokens = adjustment_.evidence().sample(kProfileTokens);
    const at::Tensor activations = gated_activations(layer.weights, tokens.inputs).to(at::kFloat);
    const at::Tensor norms = squared_output_norms(layer.weights.down_proj).sqrt().to(at::kFloat);
    const at::Tensor contributions = (activations.abs() * tokens.weights.unsqueeze(1)).to(at::kCPU) * norms;
    const at::Tensor rows = contributions.index_select(1, routed).t().contiguous();
    return rows / rows.norm(2, {1}, /*keepdim=*/true).clamp_min(1e-12);
  }

  // The neuron of the most energy, then always the one whose nearest seed is the farthest.
  at::Tensor distant_seeds(const at::Tensor& points, const at::Tensor& importance) const {
    std::vector<int64_t> seeds = {importance.argmax().item<int64_t>()};
    at::Tensor nearest = points.mv(points[seeds.back()]);  // cosine
    while (static_cast<int64_t>(seeds.size()) < shape_.num_routed_experts()) {
      seeds.push_back(nearest.argmin().item<int64_t>());
      nearest = nearest.maximum(points.mv(points[seeds.back()]));
    }
    return at::tensor(seeds, at::kLong);
  }

  MoeShape shape_;
  LayerAdjustment adjustment_;
  ActivationEnergy energy_;
};

class LeastSquaresMoe : public Converter {
 public:
  explicit LeastSquaresMoe(LeastSquaresMoeOptions options) : options_(std::move(options)) {
    if (options_.experts < 2) throw std::invalid_argument(std::string(kName) + ": option 'experts' must be at least 2");
    check_adjustment(options_.adjustment, kName);
  }

  // A third of the active neurons is always on.
  MoeShape shape_for(double active_ratio, const LlamaConfig& config) const override {
    int64_t most = 0;
    for (int64_t experts = std::min(options_.experts, config.intermediate_size); experts > 1; --experts) {
      if (config.intermediate_size % experts != 0) continue;
      most = std::max(most, experts);
      const double active = active_ratio * static_cast<double>(experts);
      const int64_t num_active = std::llround(active);
      if (!(std::abs(active - static_cast<double>(num_active)) < 1e-9)) continue;
      if (num_active < 1 || num_active >= experts) break;
      const int64_t num_shared = (num_active + 1) / 3;
      return {num_shared, num_active - num_shared, experts, config.intermediate_size / experts};
    }
    if (most == 0) throw no_experts(config);
    const double nearest = std::clamp(std::round(active_ratio * static_cast<double>(most)), 1.0, most - 1.0);
    throw std::invalid_argument(std::string(kName) + ": no layout of at most " + std::to_string(options_.experts) +
                                " experts with active ratio " + std::to_string(active_ratio) + "; the nearest of " +
                                std::to_string(most) + " experts is " + std::to_string(nearest / most));
  }

  void check_shape(const MoeShape& shape, const LlamaConfig& config) const override {
    check_layer(shape, config);
    check_budgets(options_.adjustment, shape, config, [&](const MoeShape& layer) { check_layer(layer, config); });
  }

  CalibrationRequest calibration() const override { return adjusted_calibration({}, options_.adjustment); }

  std::shared_ptr<const Preparation> prepare(const ConversionContext& context) const override {
    const LlamaConfig config = context.checkpoint.config();
    return prepare_adjustment(options_.adjustment, context, [&](const MoeShape& layer) { check_layer(layer, config); });
  }

  std::unique_ptr<LayerObserver> observe_layer(const LayerContext& context) const override {
    return std::make_unique<LeastSquaresMoeObserver>(options_, context,
                                                     static_cast<const AdjustmentPreparation*>(context.preparation));
  }

 private:
  static void check_layer(const MoeShape& shape, const LlamaConfig& config) {
    check_partition_shape(kName, shape, config);
  }
  std::invalid_argument no_experts(const LlamaConfig& config) const {
    return std::invalid_argument(std::string(kName) + ": at most " + std::to_string(options_.experts) +
                                 " experts do not share out " + std::to_string(config.intermediate_size) +
                                 " neurons; the only way is more of them (option 'experts')");
  }

  LeastSquaresMoeOptions options_;
};

const Registration<Converter, LeastSquaresMoe, LeastSquaresMoeOptions> registration(
    kName,
    "our own: always-on neurons by energy, the rest clustered, ridge router, down_proj refitted by least squares");

}  // namespace
}  // namespace moebench
