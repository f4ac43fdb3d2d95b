// Static pruning: the best neurons for all tokens, no routing. The control that a conversion has to beat at the same
// activated size.
#include <optional>
#include <stdexcept>

#include <ATen/ATen.h>

#include "harness/adjustment/layer_evidence.h"
#include "harness/converter.h"
#include "methods/activation_fluctuation.h"
#include "methods/activation_gram.h"
#include "methods/activation_markers.h"
#include "methods/fluctuation_pruning.h"
#include "methods/layout.h"

namespace moebench {
namespace {

struct StaticPruningOptions {
  std::string criterion = "rate";
  std::string compensation = "none";
  std::string propagate = "converted";
  std::string score = "code";
  int64_t top_activations = 10;
  std::string estimator = "published";
  int64_t sample_tokens = 256;
  double ridge = 0.01;
  std::string token_weights = "none";

  void for_each(auto&& visit) {
    visit(
        "criterion", criterion,
        "which neurons stay: rate (most often among a token's most active, as CMoE counts), energy (E[h^2] ||w_d||^2) "
        "or flap (fluctuation ||w_d||^2)",
        {"rate", "energy", "flap"});
    visit("compensation", compensation,
          "for the dropped neurons: none, bias (their mean output) or least_squares (down_proj refitted towards the "
          "dense output)",
          {"none", "bias", "least_squares"});
    visit("propagate", propagate, "what the layers after a pruned one see: converted or dense", {"converted", "dense"});
    visit("score", score, "criterion rate: code (normalised) or paper (plain)", {"code", "paper"});
    visit("top_activations", top_activations, "criterion rate: marked neurons a token");
    visit("estimator", estimator, "criterion flap: published (the released code's) or textbook (variance)",
          {"published", "textbook"});
    visit("sample_tokens", sample_tokens, "criterion flap: tokens a sample; windows are cut into samples");
    visit("ridge", ridge, "least_squares: ridge, times the mean of the Gram matrix's diagonal");
    visit("token_weights", token_weights,
          "in energy and least_squares: none or residual (1 / norm of the stream that the output joins)",
          {"none", "residual"});
  }
};

class StaticPruningObserver : public LayerObserver {
 public:
  StaticPruningObserver(const StaticPruningOptions& options, const DenseLayer& dense)
      : options_(options), dense_(dense.weights) {
    const int64_t num_neurons = dense_.gate_proj.size(0);
    if (options_.criterion == "rate") {
      markers_.emplace(dense_, parse_activation_score(options_.score), options_.top_activations);
    }
    if (options_.criterion == "flap" || options_.compensation == "bias") fluctuation_.emplace(num_neurons);
    if (options_.criterion == "energy") energy_.emplace(num_neurons);
    if (options_.compensation == "least_squares") gram_.emplace(num_neurons);
  }

  void observe(const FfnChunk& chunk) override {
    if (markers_) markers_->observe(chunk);
    if (fluctuation_) {
      for (const at::Tensor& sample : chunk.activations.split(options_.sample_tokens)) {
        fluctuation_->observe_sample(sample);
      }
    }
    if (!energy_ && !gram_) return;
    const std::optional<at::Tensor> weights = token_weights(chunk);
    if (energy_) energy_->observe(chunk.activations, weights);
    if (gram_) gram_->observe(chunk.activations, weights);
  }

  LayerConversion convert(const DenseLayer& layer, const MoeShape& shape) override {
    const int64_t num_kept = shape.num_shared_experts * shape.expert_intermediate_size;
    LayerConversion conversion;
    conversion.shared =
        expert_of(options_.criterion == "rate" ? most_marked(num_kept) : most_important(importance(layer), num_kept));
    compensate(*conversion.shared, layer);
    return conversion;
  }

 private:
  std::optional<at::Tensor> token_weights(const FfnChunk& chunk) const {
    if (options_.token_weights == "none") return std::nullopt;
    return residual_token_weights(chunk.residual, at::linear(chunk.activations, dense_.down_proj));
  }

  at::Tensor importance(const DenseLayer& layer) const {
    const at::Tensor squared_norms = squared_output_norms(layer.weights.down_proj);
    if (options_.criterion == "energy") return energy_->mean() * squared_norms;
    if (options_.estimator == "textbook") return fluctuation_->variance() * squared_norms;
    if (fluctuation_->num_samples() < 2) {
      throw std::invalid_argument(
          "static_pruning: the published estimator of flap ignores the first sample and so needs two; calibrate on "
          "more "
          "text, lower 'sample_tokens' or set estimator = textbook");
    }
    return fluctuation_->published() * squared_norms;
  }

  std::vector<int64_t> most_marked(int64_t count) const {
    const MarkerMatrix markers = markers_->matrix();
    return moebench::most_marked(markers, other_neurons({}, markers.num_neurons()), count);
  }

  void compensate(ExpertSpec& kept, const DenseLayer& layer) const {
    const at::Tensor& down_proj = layer.weights.down_proj;
    if (options_.compensation == "bias") {
      kept.output_bias = mean_output_of_dropped(down_proj, fluctuation_->mean(), kept.neurons);
    } else if (options_.compensation == "least_squares") {
      const DownProjRefit refit = gram_->refit(kept.neurons, down_proj, options_.ridge);
      kept.down_proj = refit.down_proj.to(down_proj.scalar_type());
      kept.output_bias = refit.output_bias.to(down_proj.scalar_type());
    }
  }

  StaticPruningOptions options_;
  GatedMlpWeights dense_;
  std::optional<ActivationMarkers> markers_;
  std::optional<ActivationFluctuation> fluctuation_;
  std::optional<ActivationEnergy> energy_;
  std::optional<ActivationGram> gram_;
};

class StaticPruning : public Converter {
 public:
  explicit StaticPruning(StaticPruningOptions options) : options_(std::move(options)) {
    if (options_.top_activations < 1 || options_.sample_tokens < 1) {
      throw std::invalid_argument("static_pruning: options 'top_activations' and 'sample_tokens' must be at least 1");
    }
    if (!(options_.ridge > 0)) throw std::invalid_argument("static_pruning: option 'ridge' must be greater than 0");
  }

  MoeShape shape_for(double active_ratio, const LlamaConfig& config) const override {
    const int64_t eighths = active_eighths("static_pruning", active_ratio);
    return parse_moe_shape("S" + std::to_string(eighths) + "A0E8", config.intermediate_size);
  }

  void check_shape(const MoeShape& shape, const LlamaConfig& config) const override {
    check_static_shape("static_pruning", shape, config);
    if (options_.top_activations > config.intermediate_size) {
      throw std::invalid_argument("static_pruning: option 'top_activations' is more than the layer's " +
                                  std::to_string(config.intermediate_size) + " neurons");
    }
  }

  CalibrationRequest calibration() const override {
    return {.propagation = options_.propagate == "dense" ? Propagation::kDense : Propagation::kConverted};
  }

  std::unique_ptr<LayerObserver> observe_layer(const LayerContext& context) const override {
    return std::make_unique<StaticPruningObserver>(options_, context.dense);
  }

 private:
  StaticPruningOptions options_;
};

const Registration<Converter, StaticPruning, StaticPruningOptions> registration(
    "static_pruning", "the best neurons for all tokens, no routing: the control at equal activated size");

}  // namespace
}  // namespace moebench
