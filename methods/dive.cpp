// DIVE (arXiv 2506.09351): experts are overlapping prunings of the same FFN, one for each cluster of domains that prune
// alike, behind a linear router that is trained afterwards.
#include <algorithm>
#include <numeric>
#include <stdexcept>

#include <ATen/ATen.h>

#include "harness/converter.h"
#include "methods/domain_affinity.h"
#include "methods/domain_perplexity.h"
#include "methods/expert_samples.h"
#include "methods/layout.h"
#include "methods/random_linear.h"

namespace moebench {
namespace {

struct DiveOptions {
  std::string layout = "1of8";
  std::string clusters = "mined";
  std::string affinity = "calibration";
  std::string distance = "correlation";
  std::string linkage = "average";
  int64_t sample_tokens = 256;
  int64_t held_out_samples = 3;
  std::string estimator = "published";
  std::string bias_mean = "published";

  void for_each(auto&& visit) {
    visit("layout", layout,
          "experts that a token visits, for an active ratio, and the router's temperature in training",
          {"1of8", "2of8"});
    visit("clusters", clusters,
          "what an expert is pruned with: mined (a cluster of domains that prune alike; of fewer domains than experts, "
          "as random) or random (samples drawn from all domains, the published ablation)",
          {"mined", "random"});
    visit("affinity", affinity,
          "domains are compared by the models pruned with their text (calibration) or by how all do on it (evaluation)",
          {"calibration", "evaluation"});
    visit("distance", distance, "between domains: correlation (1 - Pearson's) or euclidean",
          {"correlation", "euclidean"});
    visit("linkage", linkage, "of the clusters of domains", {"average", "complete", "single"});
    visit("sample_tokens", sample_tokens, "tokens a sample; windows are cut into samples");
    visit("held_out_samples", held_out_samples, "samples of a domain that mining reads and does not prune with");
    visit("estimator", estimator, "of a neuron's fluctuation: published (the released code's) or textbook (variance)",
          {"published", "textbook"});
    visit("bias_mean", bias_mean, "dropped neurons' mean: published (rounded to fp16, as the released code) or exact",
          {"published", "exact"});
  }
};

struct DivePreparation : Preparation {
  ExpertsOfSample experts_of_sample;
  nlohmann::json notes;
};

class DiveObserver : public LayerObserver {
 public:
  DiveObserver(const LayerContext& context, const FluctuationPruning& pruning, int64_t sample_tokens)
      : pruning_(pruning),
        sample_tokens_(sample_tokens),
        preparation_(dynamic_cast<const DivePreparation&>(*context.preparation)),
        generator_(layer_generator(context.seed, context.dense.index)) {
    const int64_t num_neurons = context.dense.weights.gate_proj.size(0);
    fluctuations_.assign(context.shape.num_routed_experts(), ActivationFluctuation(num_neurons));
  }

  void observe(const FfnChunk& chunk) override {
    for (const at::Tensor& sample : chunk.activations.split(sample_tokens_)) {
      for (const int64_t expert : preparation_.experts_of_sample.at(num_samples_)) {
        fluctuations_[expert].observe_sample(sample);
      }
      ++num_samples_;
    }
  }

  LayerConversion convert(const DenseLayer& layer, const MoeShape& shape) override {
    const at::Tensor& down_proj = layer.weights.down_proj;
    LayerConversion conversion;
    for (const ActivationFluctuation& fluctuation : fluctuations_) {
      conversion.experts.push_back(pruning_.prune(fluctuation, down_proj, shape.expert_intermediate_size));
    }
    conversion.router.kind = RouterKind::kLinear;
    conversion.router.tensors["weight"] =
        default_linear_weight(shape.num_routed_experts(), down_proj.size(0), generator_, down_proj.scalar_type());
    conversion.rule.softmax = RoutingRule::Softmax::kAfterTopK;
    conversion.rule.weights = RoutingRule::Weights::kScores;
    conversion.top_k = shape.top_k;
    if (layer.index == 0) conversion.notes = preparation_.notes;
    return conversion;
  }

 private:
  const FluctuationPruning pruning_;
  const int64_t sample_tokens_;
  const DivePreparation& preparation_;
  at::Generator generator_;
  std::vector<ActivationFluctuation> fluctuations_;  // one an expert
  size_t num_samples_ = 0;
};

class Dive : public Converter {
 public:
  explicit Dive(DiveOptions options) : options_(std::move(options)) {
    if (options_.sample_tokens < 2) throw std::invalid_argument("dive: option 'sample_tokens' must be at least 2");
    if (options_.held_out_samples < 1)
      throw std::invalid_argument("dive: option 'held_out_samples' must be at least 1");
  }

  // Published at ratio 0.5: 1 of 8 experts that keep 50 %, or 2 of 8 that keep 25 %.
  MoeShape shape_for(double active_ratio, const LlamaConfig& config) const override {
    const int64_t eighths = active_eighths("dive", active_ratio);
    const int64_t top_k = options_.layout == "1of8" ? 1 : 2;
    const int64_t width = std::max<int64_t>(1, config.intermediate_size * eighths / (8 * top_k));
    return {.num_shared_experts = 0, .top_k = top_k, .num_experts = 8, .expert_intermediate_size = width};
  }

  void check_shape(const MoeShape& shape, const LlamaConfig& config) const override {
    const int64_t width = shape.expert_intermediate_size;
    if (shape.num_shared_experts != 0 || shape.top_k < 1 || shape.top_k > shape.num_experts || width < 1 ||
        width > config.intermediate_size) {
      throw std::invalid_argument("dive: shape " + to_string(shape, config.intermediate_size) +
                                  " does not fit; it shares no expert, visits one at least and not more than there "
                                  "are, and each keeps 1 to " +
                                  std::to_string(config.intermediate_size) + " neurons, as in S0A1E8W" +
                                  std::to_string(std::max<int64_t>(1, config.intermediate_size / 2)));
    }
  }

  CalibrationRequest calibration() const override { return {.propagation = Propagation::kDense}; }

  std::shared_ptr<const Preparation> prepare(const ConversionContext& context) const override {
    if (context.text == nullptr) return nullptr;  // the pass refuses it
    const std::vector<int64_t> num_samples = count_samples(*context.text, options_.sample_tokens);
    check_domains(*context.text, num_samples);
    auto preparation = std::make_shared<DivePreparation>();
    if (options_.clusters == "random" || std::ssize(num_samples) < context.shape.num_experts) {
      const int64_t total = std::accumulate(num_samples.begin(), num_samples.end(), int64_t{0});
      preparation->experts_of_sample =
          random_mixtures(total, context.shape.num_experts, pruning().fewest_samples(), context.seed);
      preparation->notes["clusters"] = "random";
    } else {
      // Published: 1024 samples an expert, shared out over its domains. Here each domain gives all that it has.
      const auto clusters = cluster(context, preparation->notes);
      preparation->experts_of_sample = samples_of_clusters(clusters, num_samples);
      preparation->notes["clusters"] = names_of(clusters, *context.text);
    }
    return preparation;
  }

  std::unique_ptr<LayerObserver> observe_layer(const LayerContext& context) const override {
    return std::make_unique<DiveObserver>(context, pruning(), options_.sample_tokens);
  }

  // Released scripts: 0.5 B tokens for the router alone, 5 B for the experts. The temperature is the layout's: at 0.05
  // the mixture of all experts is nearly the best one, at 0.5 several count. beta2: the Hugging Face trainer's default.
  RetrainRecipe retrain_recipe() const override {
    const RetrainStage router = {.name = "router",
                                 .token_share = 0.5 / 5.5,
                                 .experts = Training::kFrozen,
                                 .schedule = RetrainStage::Schedule::kConstant,
                                 .warm_up_share = 0,
                                 .beta2 = 0.999,
                                 .visit_all = true,
                                 .temperature = options_.layout == "1of8" ? 0.05 : 0.5,
                                 .noise = RetrainStage::Noise::kDive};
    const RetrainStage experts = {.name = "experts",
                                  .token_share = 5 / 5.5,
                                  .experts = Training::kLowRank,
                                  .norms = true,
                                  .rank = 8,
                                  .alpha = 16,
                                  .dropout = 0.1,
                                  .schedule = RetrainStage::Schedule::kCosine,
                                  .warm_up_share = 0.03,
                                  .floor_share = 0.1,
                                  .beta2 = 0.999,
                                  .noise = RetrainStage::Noise::kDive};
    return {router, experts};
  }

 private:
  FluctuationPruning pruning() const {
    using Estimator = FluctuationPruning::Estimator;
    return {.estimator = options_.estimator == "textbook" ? Estimator::kTextbook : Estimator::kPublished,
            .half_precision_mean = options_.bias_mean == "published"};
  }

  void check_domains(const CalibrationText& text, const std::vector<int64_t>& num_samples) const {
    for (size_t domain = 0; domain < num_samples.size(); ++domain) {
      if (num_samples[domain] >= pruning().fewest_samples()) continue;
      throw std::invalid_argument("dive: domain '" + text.domains[domain] + "' has " +
                                  std::to_string(num_samples[domain]) + " samples and an expert needs " +
                                  std::to_string(pruning().fewest_samples()) +
                                  "; calibrate on more windows of each text or lower 'sample_tokens'");
    }
  }

  std::vector<std::vector<int64_t>> cluster(const ConversionContext& context, nlohmann::json& notes) const {
    const auto num_domains = static_cast<int64_t>(context.text->domains.size());
    const int64_t num_experts = context.shape.num_experts;
    Linkage linkage = Linkage::kAverage;
    if (options_.linkage == "complete") linkage = Linkage::kComplete;
    if (options_.linkage == "single") linkage = Linkage::kSingle;
    // As many domains as experts: there is nothing to cluster, and the measurement would cost minutes.
    if (num_domains == num_experts) return cluster_domains(at::zeros({num_domains, num_domains}), num_experts, linkage);

    const at::Tensor perplexities = domain_perplexities(context, {.pruning = pruning(),
                                                                  .num_kept = context.shape.expert_intermediate_size,
                                                                  .sample_tokens = options_.sample_tokens,
                                                                  .held_out_samples = options_.held_out_samples});
    for (const at::Tensor& row : perplexities.unbind(0)) {
      notes["perplexities"].push_back(
          std::vector<double>(row.const_data_ptr<double>(), row.const_data_ptr<double>() + num_domains));
    }
    const at::Tensor normalised = normalised_perplexities(perplexities);
    const DomainDistance distance =
        options_.distance == "euclidean" ? DomainDistance::kEuclidean : DomainDistance::kCorrelation;
    const at::Tensor features = options_.affinity == "evaluation" ? normalised.t() : normalised;
    return cluster_domains(domain_distances(features, distance), num_experts, linkage);
  }

  static nlohmann::json names_of(const std::vector<std::vector<int64_t>>& clusters, const CalibrationText& text) {
    nlohmann::json names = nlohmann::json::array();
    for (const std::vector<int64_t>& cluster : clusters) {
      names.emplace_back();
      for (const int64_t domain : cluster) names.back().push_back(text.domains[domain]);
    }
    return names;
  }

  DiveOptions options_;
};

const Registration<Converter, Dive, DiveOptions> registration(
    "dive", "overlapping prunings, one for each cluster of domains that prune alike (DIVE, arXiv 2506.09351)");

}  // namespace
}  // namespace moebench
