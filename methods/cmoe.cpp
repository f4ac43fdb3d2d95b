// CMoE (arXiv 2502.04416): the most often active neurons are shared, the others are clustered by when they are active,
// and the router reads each cluster's representative neuron. Without training.
#include <array>
#include <stdexcept>

#include "harness/converter.h"
#include "methods/activation_markers.h"
#include "methods/analytic_router.h"
#include "methods/layout.h"
#include "methods/marker_clusters.h"

namespace moebench {
namespace {

struct CmoeOptions {
  std::string score = "code";
  int64_t top_activations = 10;
  std::string distance = "l1";
  std::string assignment = "transportation";
  std::string propagate = "converted";
  std::string train_expert_scale = "paper";

  void for_each(auto&& visit) {
    visit("score", score, "what marks a neuron: code (token and weight rows L2-normalised) or paper (plain)",
          {"code", "paper"});
    visit("top_activations", top_activations, "marked neurons a token (K_a of the paper)");
    visit("distance", distance, "of marker columns in the assignment: l1 (released code) or l2 (paper)", {"l1", "l2"});
    visit("assignment", assignment,
          "of many clusterings with the least distance: transportation (fast) or lapjv (the released code's very one)",
          {"transportation", "lapjv"});
    visit("propagate", propagate, "what the layers after a converted one see: converted (published) or dense",
          {"converted", "dense"});
    visit("train_expert_scale", train_expert_scale,
          "in its retraining recipe, the factor of the routing scores: paper (trained) or released (the released code "
          "freezes it without meaning to)",
          {"paper", "released"});
  }
};

class CmoeObserver : public LayerObserver {
 public:
  CmoeObserver(const CmoeOptions& options, const DenseLayer& dense)
      : distance_(options.distance == "l2" ? MarkerDistance::kL2 : MarkerDistance::kL1),
        assignment_(options.assignment == "lapjv" ? ClusterAssignment::kLapjv : ClusterAssignment::kTransportation),
        markers_(dense.weights, parse_activation_score(options.score), options.top_activations) {}

  void observe(const FfnChunk& chunk) override { markers_.observe(chunk); }

  LayerConversion convert(const DenseLayer& layer, const MoeShape& shape) override {
    const MarkerMatrix markers = markers_.matrix();
    const int64_t num_shared = shape.num_shared_experts * shape.expert_intermediate_size;
    const std::vector<int64_t> all = other_neurons({}, markers.num_neurons());
    const std::vector<int64_t> shared = most_marked(markers, all, num_shared);
    const std::vector<int64_t> routed = other_neurons(shared, markers.num_neurons());
    const std::vector<int64_t> seeds = most_marked(markers, routed, shape.num_routed_experts());

    LayerConversion conversion;
    conversion.top_k = shape.top_k;
    if (shape.num_shared_experts > 0) conversion.shared = expert_of(shared);
    std::vector<int64_t> representatives;
    for (const std::vector<int64_t>& cluster : cluster_by_markers(markers, routed, seeds, distance_, assignment_)) {
      conversion.experts.push_back(expert_of(cluster));
      representatives.push_back(representative(markers, cluster));
    }
    set_analytic_router(conversion, layer, representatives);
    return conversion;
  }

 private:
  MarkerDistance distance_;
  ClusterAssignment assignment_;
  ActivationMarkers markers_;
};

class Cmoe : public Converter {
 public:
  explicit Cmoe(CmoeOptions options) : options_(std::move(options)) {
    if (options_.top_activations < 1) throw std::invalid_argument("cmoe: option 'top_activations' must be at least 1");
  }

  // Paper: S3A3E8 (main table), S1A3E8. Released command line's default: S2A2E16. The others follow their pattern.
  MoeShape shape_for(double active_ratio, const LlamaConfig& config) const override {
    static constexpr std::array kLayouts = {"S1A1E16", "S2A2E16", "S1A2E8", "S1A3E8", "S2A3E8", "S3A3E8", "S3A4E8"};
    const int64_t eighths = active_eighths("cmoe", active_ratio);
    if (eighths == 8) throw std::invalid_argument("cmoe: active ratio 1 is the dense model; the nearest is 0.875");
    return parse_moe_shape(kLayouts[eighths - 1], config.intermediate_size);
  }

  void check_shape(const MoeShape& shape, const LlamaConfig& config) const override {
    check_partition_shape("cmoe", shape, config);
    if (options_.top_activations > config.intermediate_size) {
      throw std::invalid_argument("cmoe: option 'top_activations' is more than the layer's " +
                                  std::to_string(config.intermediate_size) + " neurons");
    }
  }

  CalibrationRequest calibration() const override {
    return {.propagation = options_.propagate == "dense" ? Propagation::kDense : Propagation::kConverted};
  }

  std::unique_ptr<LayerObserver> observe_layer(const LayerContext& context) const override {
    return std::make_unique<CmoeObserver>(options_, context.dense);
  }

  // The released code's, in which weight_decay has no effect and nothing is clipped: two windows of 2048 tokens a step.
  // (Its rate is 5.65e-5, the paper's 5.95e-5.) The router's own rows stay as they are; the selection bias balances.
  RetrainRecipe retrain_recipe() const override {
    return {{.name = "fine_tuning",
             .experts = Training::kLowRank,
             .attention = Training::kLowRank,
             .router = false,
             .expert_scale = options_.train_expert_scale == "paper",
             .rank = 8,
             .alpha = 32,
             .dropout = 0.1,
             .learning_rate = 5.65e-5,
             .expert_scale_learning_rate = 1e-3,
             .schedule = RetrainStage::Schedule::kConstant,
             .warm_up_share = 0,
             .beta1 = 0.9,
             .beta2 = 0.95,
             .epsilon = 1e-8,
             .clip_norm = 0,
             .tokens_a_step = 2 * 2048,
             .selection_bias_step = 1e-3}};
  }

 private:
  CmoeOptions options_;
};

const Registration<Converter, Cmoe, CmoeOptions> registration(
    "cmoe", "hot neurons shared, the rest clustered by activation, analytic router (CMoE, arXiv 2502.04416)");

}  // namespace
}  // namespace moebench
