// LaDiMo-style (arXiv 2408.04278): every layer's experts and router are distilled from its dense FFN on their own, then
// a routing policy is chosen for the whole model. No code is public and the full text was not at hand: the two stages
// are the abstract's, everything inside them (slices, losses, rates, policies) is this project's.
#include <algorithm>
#include <cmath>
#include <map>
#include <stdexcept>

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "harness/converter.h"
#include "methods/balanced_k_means.h"
#include "methods/layer_distillation.h"
#include "methods/layout.h"
#include "methods/random_linear.h"
#include "methods/routing_policy.h"

namespace moebench {
namespace {

struct LadimoOptions {
  std::string init = "random";
  int64_t epochs = 3;
  int64_t batch_tokens = 512;
  double learning_rate = 0.05;
  double router_learning_rate = 1e-3;
  double balance = 0;
  double held_out = 0.1;
  std::string policy = "cumulative_mass";
  double dense_above = 0;
  std::string propagate = "dense";

  void for_each(auto&& visit) {
    visit("init", init,
          "experts before training: random (slices of a permutation of the neurons), k_means (slices by balanced "
          "k-means of the gate rows) or fresh (normal numbers of the dense weights' deviation)",
          {"random", "k_means", "fresh"});
    visit("epochs", epochs,
          "of the calibration text, for which 100 K tokens are meant; 10 to 20 train further, in proportion to their "
          "time");
    visit("batch_tokens", batch_tokens, "tokens a training step");
    visit("learning_rate", learning_rate, "of the experts (AdamW, cosine), in root mean squares of the weight");
    visit("router_learning_rate", router_learning_rate, "of the router");
    visit("balance", balance,
          "factor of the Switch balance loss: 0.01 evens the experts' load and costs some of the error");
    visit("held_out", held_out,
          "share of every text's windows, the last ones and at least one, that the policy is chosen on instead of "
          "training");
    visit("policy", policy,
          "cumulative_mass (a token visits its best experts until their weights sum to tau) or static_k (a layer's "
          "tokens visit as many as reach tau on average); tau gives the activated size",
          {"cumulative_mass", "static_k"});
    visit(
        "dense_above", dense_above,
        "layers whose held-out distillation error is above this stay dense and the others get fewer neurons; 0: none");
    visit("propagate", propagate, "what the layers after a converted one see: dense or converted",
          {"dense", "converted"});
  }
};

// The layer's inputs by domain, window by window.
class LayerWindows {
 public:
  void add(const FfnChunk& chunk) { windows_[chunk.domain].push_back(chunk.inputs); }

  struct Split {
    LayerText training, held_out;
  };
  Split split(double held_out_share, const GatedMlpWeights& dense) const {
    std::vector<at::Tensor> training, held_out;
    for (const auto& [domain, windows] : windows_) {
      const int64_t num_windows = static_cast<int64_t>(windows.size());
      if (num_windows < 2) {
        throw std::invalid_argument(
            "ladimo: trains on a text's first windows and holds out its last ones, so every calibration text needs two "
            "windows; draw more");
      }
      const int64_t num_held_out =
          std::clamp<int64_t>(std::llround(held_out_share * static_cast<double>(num_windows)), 1, num_windows - 1);
      training.insert(training.end(), windows.begin(), windows.end() - num_held_out);
      held_out.insert(held_out.end(), windows.end() - num_held_out, windows.end());
    }
    return {text_of(training, dense), text_of(held_out, dense)};
  }

 private:
  static LayerText text_of(const std::vector<at::Tensor>& windows, const GatedMlpWeights& dense) {
    const GatedMlp teacher(dense);
    std::vector<at::Tensor> outputs;
    for (const at::Tensor& inputs : windows) outputs.push_back(teacher.forward(inputs));
    return {at::cat(windows), at::cat(outputs)};
  }

  std::map<int64_t, std::vector<at::Tensor>> windows_;
};

class LadimoObserver : public LayerObserver {
 public:
  LadimoObserver(const LadimoOptions& options, const LayerContext& context)
      : options_(options), generator_(layer_generator(context.seed, context.dense.index)) {}

  void observe(const FfnChunk& chunk) override { windows_.add(chunk); }

  LayerConversion convert(const DenseLayer& layer, const MoeShape& shape) override {
    const at::NoGradGuard no_grad;
    const LayerWindows::Split text = windows_.split(options_.held_out, layer.weights);
    StudentLayer student = untrained(layer.weights, shape);
    const std::vector<double> errors = distil(student, text.training, text.held_out,
                                              {.epochs = options_.epochs,
                                               .batch_tokens = options_.batch_tokens,
                                               .top_k = shape.top_k,
                                               .learning_rate = options_.learning_rate,
                                               .router_learning_rate = options_.router_learning_rate,
                                               .balance = options_.balance},
                                              generator_);
    LayerConversion conversion = conversion_of(student, shape, layer.weights.gate_proj.scalar_type());
    const RoutingProfile profile = profile_routing(conversion, text.held_out);
    if (options_.dense_above > 0 && errors.back() > options_.dense_above) conversion = {.keep_dense = true};
    conversion.notes = {{"distillation_error", errors}, {"profile", profile}};
    return conversion;
  }

 private:
  // With all experts on and a router that does not choose, slices are the dense layer.
  StudentLayer untrained(const GatedMlpWeights& dense, const MoeShape& shape) {
    const at::TensorOptions fp32 = dense.gate_proj.options().dtype(at::kFloat);
    const int64_t hidden_size = dense.gate_proj.size(1);
    return {.experts = options_.init == "fresh" ? fresh_experts(dense) : sliced_experts(dense, shape.num_experts),
            .router = default_linear_weight(shape.num_experts, hidden_size, generator_, at::kFloat).to(fp32),
            .relative_scale = at::ones({1}, fp32)};
  }

  GatedMlpWeights sliced_experts(const GatedMlpWeights& dense, int64_t num_experts) {
    const int64_t num_neurons = dense.gate_proj.size(0);
    at::Tensor order;
    if (options_.init == "k_means") {
      const BalancedClusters clusters =
          balanced_k_means(dense.gate_proj.to(at::kCPU),
                           {.num_clusters = num_experts, .num_restarts = 1, .seed = generator_.current_seed()});
      order = std::get<1>(clusters.labels.sort(/*stable=*/true, /*dim=*/0, /*descending=*/false));
    } else {
      order = at::randperm(num_neurons, generator_, at::TensorOptions(at::kLong));
    }
    order = order.to(dense.gate_proj.device());
    return {dense.gate_proj.index_select(0, order).to(at::kFloat), dense.up_proj.index_select(0, order).to(at::kFloat),
            dense.down_proj.index_select(1, order).to(at::kFloat)};
  }

  GatedMlpWeights fresh_experts(const GatedMlpWeights& dense) {
    const auto like = [this](const at::Tensor& weight) {
      const at::Tensor normal = at::randn(weight.sizes(), generator_, at::TensorOptions(at::kFloat));
      return normal.to(weight.device()) * weight.to(at::kFloat).std();
    };
    return {like(dense.gate_proj), like(dense.up_proj), like(dense.down_proj)};
  }

  static LayerConversion conversion_of(const StudentLayer& student, const MoeShape& shape, at::ScalarType dtype) {
    const int64_t width = shape.expert_intermediate_size;
    LayerConversion conversion;
    for (int64_t expert = 0; expert < shape.num_experts; ++expert) {
      conversion.experts.push_back(
          {.own_weights = GatedMlpWeights{own(student.experts.gate_proj.narrow(0, expert * width, width), dtype),
                                          own(student.experts.up_proj.narrow(0, expert * width, width), dtype),
                                          own(student.experts.down_proj.narrow(1, expert * width, width), dtype)}});
    }
    conversion.router = {.kind = RouterKind::kLinear, .tensors = {{"weight", own(student.router, dtype)}}};
    conversion.rule = {.softmax = RoutingRule::Softmax::kAfterTopK,
                       .weights = RoutingRule::Weights::kScores,
                       .scale = static_cast<double>(shape.num_experts) * student.relative_scale.item<double>()};
    conversion.top_k = shape.top_k;
    return conversion;
  }

  static at::Tensor own(const at::Tensor& trained, at::ScalarType dtype) {
    return trained.detach().clone(at::MemoryFormat::Contiguous).to(dtype);
  }

  LadimoOptions options_;
  at::Generator generator_;
  LayerWindows windows_;
};

class Ladimo : public Converter {
 public:
  explicit Ladimo(LadimoOptions options) : options_(std::move(options)) {
    if (options_.epochs < 1 || options_.batch_tokens < 1) {
      throw std::invalid_argument("ladimo: options 'epochs' and 'batch_tokens' must be at least 1");
    }
    if (!(options_.learning_rate > 0 && options_.router_learning_rate > 0)) {
      throw std::invalid_argument("ladimo: options 'learning_rate' and 'router_learning_rate' must be above 0");
    }
    if (!(options_.held_out > 0 && options_.held_out < 1)) {
      throw std::invalid_argument("ladimo: option 'held_out' must lie between 0 and 1");
    }
    if (options_.balance < 0 || options_.dense_above < 0) {
      throw std::invalid_argument("ladimo: options 'balance' and 'dense_above' must not be negative");
    }
  }

  MoeShape shape_for(double active_ratio, const LlamaConfig& config) const override {
    const int64_t eighths = active_eighths("ladimo", active_ratio);
    return parse_moe_shape("S0A" + std::to_string(eighths) + "E8", config.intermediate_size);
  }

  void check_shape(const MoeShape& shape, const LlamaConfig& config) const override {
    check_partition_shape("ladimo", shape, config);
    if (shape.num_shared_experts > 0) {
      throw std::invalid_argument("ladimo: shape " + to_string(shape, config.intermediate_size) +
                                  " has shared experts and this method none; ask for S0, as in S0A4E8");
    }
  }

  CalibrationRequest calibration() const override {
    return {.propagation = options_.propagate == "dense" ? Propagation::kDense : Propagation::kConverted};
  }

  std::unique_ptr<LayerObserver> observe_layer(const LayerContext& context) const override {
    return std::make_unique<LadimoObserver>(options_, context);
  }

  void finish(const ConversionContext& context, Conversion& conversion) const override {
    const RoutingPolicy policy =
        options_.policy == "static_k" ? RoutingPolicy::kStatic : RoutingPolicy::kCumulativeMass;
    const int64_t intermediate_size = context.checkpoint.config().intermediate_size;
    conversion.metadata["policy"] = apply_routing_policy(conversion, policy, context.shape, intermediate_size);
    conversion.metadata["remark"] = "LaDiMo-style: the paper's code is not public, its stages are implemented our way";
  }

 private:
  LadimoOptions options_;
};

const Registration<Converter, Ladimo, LadimoOptions> registration(
    "ladimo",
    "LaDiMo-style (arXiv 2408.04278; no code is public): experts and router of every layer distilled from its FFN, "
    "then a routing policy");

}  // namespace
}  // namespace moebench
