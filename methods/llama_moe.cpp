// LLaMA-MoE (arXiv 2406.16554): the neurons are shared out to experts at random, by weights, by activity or by
// gradients, behind a gate that continual pre-training has to teach.
#include <limits>
#include <optional>
#include <stdexcept>
#include <utility>

#include <ATen/ATen.h>

#include "harness/converter.h"
#include "harness/evidence/neuron_gradients.h"
#include "harness/evidence/text_clusters.h"
#include "harness/text/python_random.h"
#include "methods/balanced_k_means.h"
#include "methods/coactivation_graph.h"
#include "methods/layout.h"
#include "methods/llama_moe_gate.h"
#include "methods/neuron_split.h"
#include "methods/random_linear.h"
#include "methods/representative_router.h"

namespace moebench {
namespace {

struct LlamaMoeOptions {
  std::string split = "random";
  std::string gate = "mlp";
  double score_scale = 0;
  std::string proj_type = "up_proj";
  std::string metric = "l2";
  int64_t restarts = 10;
  double graph_threshold = 0;
  std::string kernel = "l1_norm";
  std::string accumulate = "sample";
  std::string importance = "feature_change";
  bool share_neurons = true;

  void for_each(auto&& visit) {
    visit(
        "split", split,
        "random (the released models'), clustering (balanced k-means of weight rows), coactivation (balanced cut of a "
        "graph), gradient (greedy), sharing_inner (each expert its own best neurons; they overlap) or sharing_inter "
        "(what most experts want is always on). The last three by text clusters, one an expert: domains, or windows "
        "where there are fewer domains",
        {"random", "clustering", "coactivation", "gradient", "sharing_inner", "sharing_inter"});
    visit("gate", gate,
          "mlp (Linear-Tanh-Linear, random), linear (zeros: untrained, always the first experts; the released code's "
          "ties fall on others) or cmoe (CMoE's analytic router, for use without training)",
          {"mlp", "linear", "cmoe"});
    visit("score_scale", score_scale,
          "mlp and linear: of every expert's score; 0: all experts over the active ones, as the published training "
          "scripts set it (the released converter's default is 1)");
    visit("proj_type", proj_type,
          "clustering: rows of up_proj or gate_proj; coactivation: h (called up_proj by the released code) or the gate "
          "after silu (gate_proj)",
          {"up_proj", "gate_proj"});
    visit("metric", metric, "clustering: l2 or cosine", {"l2", "cosine"});
    visit("restarts", restarts, "clustering: runs of k-means, of which the best is kept");
    visit("graph_threshold", graph_threshold,
          "coactivation: the most that one window adds to a pair of neurons, 0: no limit. Published: 1, which in a "
          "window of 2048 tokens all pairs reach, so that every balanced cut is as good");
    visit("kernel", kernel, "coactivation, gradients: absolute values (l1_norm) or squares (l2_norm)",
          {"l1_norm", "l2_norm"});
    visit("accumulate", accumulate, "gradients: kernel of each token (sample) or of a window's sum (total)",
          {"sample", "total"});
    visit("importance", importance, "gradients: feature_change (h dL/dh) or feature_grad (dL/dh)",
          {"feature_change", "feature_grad"});
    visit("share_neurons", share_neurons,
          "sharing_inter: routed experts may overlap (published); false: they share out the rest greedily");
  }

  double graph_limit() const {
    return graph_threshold == 0 ? std::numeric_limits<double>::infinity() : graph_threshold;
  }
  bool uses_gradients() const { return split == "gradient" || split == "sharing_inner" || split == "sharing_inter"; }
  bool is_partition() const { return split != "sharing_inner" && !(split == "sharing_inter" && share_neurons); }
};

// Per layer [routed experts, intermediate_size], row e of expert e's cluster of texts.
struct NeuronImportance : Preparation {
  explicit NeuronImportance(std::vector<at::Tensor> layers) : layers(std::move(layers)) {}
  std::vector<at::Tensor> layers;
};

struct Split {
  NeuronLists routed;
  std::optional<ExpertSpec> residual;
};

// Of labels, an expert a neuron.
NeuronLists lists_of(const std::vector<int64_t>& labels, int64_t num_experts) {
  NeuronLists lists(num_experts);
  for (int64_t neuron = 0; neuron < std::ssize(labels); ++neuron) lists[labels[neuron]].push_back(neuron);
  return lists;
}

// The released code seeds nothing and shuffles one list a layer, 0 to E - 1 over and over; here the run's seed is given
// to random.seed once, so layer l has the l-th shuffle of that stream.
std::vector<int64_t> random_labels(uint64_t seed, int64_t layer, int64_t num_neurons, int64_t num_experts) {
  PythonRandom random(seed);
  std::vector<int64_t> labels(num_neurons);
  for (int64_t shuffled = 0; shuffled <= layer; ++shuffled) {
    for (int64_t neuron = 0; neuron < num_neurons; ++neuron) labels[neuron] = neuron % num_experts;
    for (int64_t last = num_neurons - 1; last > 0; --last) std::swap(labels[last], labels[random.randint(0, last)]);
  }
  return labels;
}

std::vector<int64_t> cluster_labels(const LlamaMoeOptions& options, const DenseLayer& layer, int64_t num_experts,
                                    uint64_t seed) {
  const at::Tensor& rows = options.proj_type == "up_proj" ? layer.weights.up_proj : layer.weights.gate_proj;
  const at::Tensor points = rows.to(at::kCPU, at::kFloat);
  const at::Tensor unit_rows = points / points.norm(2, {1}, /*keepdim=*/true).clamp_min(1e-12);
  const at::Tensor labels =
      balanced_k_means(unit_rows, {.num_clusters = num_experts,
                                   .metric = options.metric == "l2" ? KMeansMetric::kL2 : KMeansMetric::kCosine,
                                   .num_restarts = options.restarts,
                                   .seed = seed})
          .labels;
  return {labels.const_data_ptr<int64_t>(), labels.const_data_ptr<int64_t>() + labels.numel()};
}

class LlamaMoeObserver : public LayerObserver {
 public:
  LlamaMoeObserver(const LlamaMoeOptions& options, const LayerContext& context)
      : options_(options), seed_(context.seed), importance_(static_cast<const NeuronImportance*>(context.preparation)) {
    if (options_.split == "coactivation") {
      coactivation_.emplace(context.dense.weights.gate_proj.size(0), options_.graph_limit());
    }
    if (options_.gate == "cmoe") markers_ = cmoe_markers(context.dense.weights);
  }

  void observe(const FfnChunk& chunk) override {
    if (markers_) markers_->observe(chunk);
    if (!coactivation_) return;
    const at::Tensor features = options_.proj_type == "up_proj" ? chunk.activations : at::silu(chunk.gate);
    coactivation_->observe(options_.kernel == "l1_norm" ? features.abs() : features.to(at::kFloat).square());
  }

  LayerConversion convert(const DenseLayer& layer, const MoeShape& shape) override {
    Split split = this->split(layer, shape);
    LayerConversion conversion;
    conversion.top_k = shape.top_k;
    conversion.shared = std::move(split.residual);
    for (std::vector<int64_t>& neurons : split.routed) conversion.experts.push_back(expert_of(std::move(neurons)));
    set_gate(conversion, layer, shape);
    return conversion;
  }

 private:
  Split split(const DenseLayer& layer, const MoeShape& shape) const {
    const int64_t num_experts = shape.num_experts, size = shape.expert_intermediate_size;
    if (options_.split == "random") {
      return {lists_of(random_labels(seed_, layer.index, layer.weights.gate_proj.size(0), num_experts), num_experts)};
    }
    if (options_.split == "clustering") {
      return {lists_of(cluster_labels(options_, layer, num_experts, seed_), num_experts)};
    }
    if (coactivation_) return {lists_of(balanced_cut(coactivation_->graph(), num_experts, seed_), num_experts)};
    const at::Tensor& importance = importance_->layers.at(layer.index);
    if (options_.split == "gradient") return {greedy_split(importance, size)};
    if (options_.split == "sharing_inner") return {sharing_inner_split(importance, size)};
    ResidualSplit split = sharing_inter_split(importance, shape.num_shared_experts, size, options_.share_neurons);
    return {std::move(split.routed), residual_block(split.residual, shape.num_shared_experts, layer.weights.down_proj)};
  }

  void set_gate(LayerConversion& conversion, const DenseLayer& layer, const MoeShape& shape) const {
    const double scale = options_.score_scale == 0 ? published_score_scale(shape) : options_.score_scale;
    if (markers_) {
      set_representative_router(conversion, layer, markers_->matrix());
    } else if (options_.gate == "linear") {
      set_zero_linear_gate(conversion, layer, scale);
    } else {
      set_tanh_gate(conversion, layer, scale, layer_generator(seed_, layer.index));
    }
  }

  LlamaMoeOptions options_;
  uint64_t seed_;
  const NeuronImportance* importance_;  // null for the splits without gradients
  std::optional<Coactivation> coactivation_;
  std::optional<ActivationMarkers> markers_;  // for the gate "cmoe"
};

class LlamaMoe : public Converter {
 public:
  explicit LlamaMoe(LlamaMoeOptions options) : options_(std::move(options)) {
    if (options_.restarts < 1) throw std::invalid_argument("llama_moe: option 'restarts' must be at least 1");
    if (options_.score_scale < 0) throw std::invalid_argument("llama_moe: option 'score_scale' must not be negative");
    if (options_.graph_threshold < 0) {
      throw std::invalid_argument("llama_moe: option 'graph_threshold' must not be negative");
    }
  }

  // Published: 2 of 16, 2 of 8 (and 4 of 16) without, 1 of 7 with a residual expert. The others follow their pattern.
  MoeShape shape_for(double active_ratio, const LlamaConfig& config) const override {
    const int64_t eighths = active_eighths("llama_moe", active_ratio);
    if (options_.split != "sharing_inter") {
      const std::string layout = eighths == 1 ? "S0A2E16" : "S0A" + std::to_string(eighths) + "E8";
      return parse_moe_shape(layout, config.intermediate_size);
    }
    if (eighths == 1) {
      throw std::invalid_argument(
          "llama_moe: with split = sharing_inter no layout has active ratio 0.125; the nearest is 0.25");
    }
    return parse_moe_shape("S1A" + std::to_string(eighths - 1) + "E8", config.intermediate_size);
  }

  void check_shape(const MoeShape& shape, const LlamaConfig& config) const override {
    const auto refuse = [&](const std::string& why) {
      return std::invalid_argument("llama_moe: shape " + to_string(shape, config.intermediate_size) + " " + why);
    };
    if (options_.split == "sharing_inter" ? shape.num_shared_experts < 1 : shape.num_shared_experts != 0) {
      throw refuse("does not fit split = " + options_.split +
                   "; sharing_inter has at least one always-on expert, as in S1A1E8, and no other split has any");
    }
    if (options_.is_partition()) return check_partition_shape("llama_moe", shape, config);
    if (shape.top_k < 1 || shape.top_k > shape.num_routed_experts()) {
      throw refuse("needs 1 to " + std::to_string(shape.num_routed_experts()) + " active routed experts");
    }
    const int64_t widest = config.intermediate_size / (shape.num_shared_experts + 1);
    if (shape.expert_intermediate_size < 1 || shape.expert_intermediate_size > widest) {
      throw refuse("needs experts of 1 to " + std::to_string(widest) + " neurons; set W");
    }
  }

  CalibrationRequest calibration() const override {
    const bool observes_layers = options_.split == "coactivation" || options_.gate == "cmoe";
    return {.needs_text = observes_layers || options_.uses_gradients(), .observes_layers = observes_layers};
  }

  // The released code clusters texts for residual experts as well, and then reads the routed experts' clusters only.
  std::shared_ptr<const Preparation> prepare(const ConversionContext& context) const override {
    if (!options_.uses_gradients()) return nullptr;
    using Importance = ImportanceOptions;
    const Importance importance{
        .kernel = options_.kernel == "l1_norm" ? Importance::Kernel::kL1Norm : Importance::Kernel::kL2Norm,
        .accumulate =
            options_.accumulate == "sample" ? Importance::Accumulate::kSample : Importance::Accumulate::kTotal,
        .quantity = options_.importance == "feature_change" ? Importance::Quantity::kFeatureChange
                                                            : Importance::Quantity::kFeatureGradient};
    const std::vector<at::Tensor> clusters =
        cluster_text(context.checkpoint, *context.text, context.shape.num_routed_experts(), context.seed);
    return std::make_shared<NeuronImportance>(
        neuron_importance(context.checkpoint, context.precision, clusters, importance, context.progress));
  }

  std::unique_ptr<LayerObserver> observe_layer(const LayerContext& context) const override {
    return std::make_unique<LlamaMoeObserver>(options_, context);
  }

  // 200 B tokens in 13 623 steps, the first 100 of them warming up.
  RetrainRecipe retrain_recipe() const override {
    return {{.name = "continual_pretraining",
             .experts = Training::kFull,
             .attention = Training::kFull,
             .router = true,
             .norms = true,
             .embeddings = true,
             .learning_rate = 2e-4,
             .schedule = RetrainStage::Schedule::kCosine,
             .warm_up_share = 100.0 / 13623,
             .floor_share = 0.1,
             .beta1 = 0.9,
             .beta2 = 0.95,
             .weight_decay = 0.1,
             .clip_norm = 1,
             .noise = RetrainStage::Noise::kLlamaMoe,
             .importance_and_load = 0.01}};
  }

 private:
  LlamaMoeOptions options_;
};

const Registration<Converter, LlamaMoe, LlamaMoeOptions> registration(
    "llama_moe", "neurons shared out at random, by weights, activity or gradients; tanh gate (LLaMA-MoE, 2406.16554)");

}  // namespace
}  // namespace moebench
