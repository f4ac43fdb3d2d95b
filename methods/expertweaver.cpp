// ExpertWeaver (arXiv 2602.15521): the neurons with the highest mean gate are shared, more of them in layers where few
// neurons differ between tasks; the others are clustered by their task profile, and the router reads each cluster's
// mean gate row. Training-free. No code is public: this is our implementation of the method's text.
#include <algorithm>
#include <cmath>
#include <map>
#include <stdexcept>

#include <ATen/ATen.h>

#include "harness/converter.h"
#include "methods/balanced_k_means.h"
#include "methods/layout.h"

namespace moebench {
namespace {

struct ExpertweaverOptions {
  double cv_threshold = 0.6;
  std::string mean = "signed";
  std::string shared = "mean";
  double alpha_base = 0.7;
  double alpha_slope = 0.5;

  void for_each(auto&& visit) {
    visit(
        "cv_threshold", cv_threshold,
        "a neuron varies if its coefficient of variation over tasks exceeds this; tasks are the calibration's domains "
        "or, with a single domain, its windows");
    visit("mean", mean, "in the coefficient of variation: signed (published) or absolute", {"signed", "absolute"});
    visit("shared", shared,
          "neurons with the highest mean gate silu(gate x) (mean, as the text reads) or the highest mean of its size "
          "(magnitude), which counts gates that are open to the negative side as well",
          {"mean", "magnitude"});
    visit("alpha_base", alpha_base, "a layer's shared fraction of the active neurons is alpha_base ...");
    visit("alpha_slope", alpha_slope, "... minus alpha_slope times the share of its neurons that vary");
  }
};

constexpr double kEpsilon = 1e-8;           // of the coefficient of variation; the text gives no value
constexpr int64_t kMostExperts = 64;        // the paper's number
constexpr int64_t kClusterIterations = 20;  // the text gives none; few points move after these

// The mean of silu(gate) of every neuron in every task. Double sums.
class TaskProfiles {
 public:
  explicit TaskProfiles(bool windows_are_tasks) : windows_are_tasks_(windows_are_tasks) {}

  void observe(const FfnChunk& chunk) {
    const int64_t key = windows_are_tasks_ ? static_cast<int64_t>(tasks_.size()) : chunk.domain;
    const at::Tensor open = at::silu(chunk.gate.to(at::kFloat));
    Task& task = tasks_[key];
    add(task.sums, open);
    task.num_tokens += chunk.gate.size(0);
    add(magnitudes_, open.abs());
  }

  // Sum over tokens of |silu(gate)|, [neurons] double.
  const at::Tensor& magnitudes() const { return magnitudes_; }

  // [tasks, neurons] double.
  at::Tensor means() const {
    if (tasks_.size() < 2) {
      throw std::invalid_argument(
          "expertweaver: variation between tasks needs two of them; calibrate on two texts or two windows");
    }
    std::vector<at::Tensor> means;
    for (const auto& [key, task] : tasks_) means.push_back(task.sums / task.num_tokens);
    return at::stack(means);
  }

 private:
  struct Task {
    at::Tensor sums;
    int64_t num_tokens = 0;
  };

  static void add(at::Tensor& sums, const at::Tensor& values) {
    const at::Tensor added = values.sum({0}, /*keepdim=*/false, at::kDouble).to(at::kCPU);
    sums = sums.defined() ? sums + added : added;
  }

  bool windows_are_tasks_;
  std::map<int64_t, Task> tasks_;
  at::Tensor magnitudes_;
};

class ExpertweaverObserver : public LayerObserver {
 public:
  ExpertweaverObserver(const ExpertweaverOptions& options, const LayerContext& context)
      : options_(options), seed_(context.seed), profiles_(context.num_domains < 2) {}

  void observe(const FfnChunk& chunk) override { profiles_.observe(chunk); }

  LayerConversion convert(const DenseLayer& layer, const MoeShape& shape) override {
    const at::Tensor profiles = profiles_.means();
    const double varying_share = share_that_varies(profiles);
    const double alpha = options_.alpha_base - options_.alpha_slope * varying_share;
    const int64_t num_shared = shared_experts(alpha, shape);
    const at::Tensor importance = options_.shared == "mean" ? profiles.mean(0) : profiles_.magnitudes();
    const at::Tensor order = std::get<1>(importance.sort(/*stable=*/true, /*dim=*/0, /*descending=*/true));
    const std::vector<at::Tensor> parts =
        order.tensor_split(at::IntArrayRef{num_shared * shape.expert_intermediate_size});

    LayerConversion conversion;
    conversion.notes = {{"varying_share", varying_share}, {"alpha", alpha}};
    if (num_shared > 0) conversion.shared = ExpertSpec{.neurons = std::get<0>(parts[0].sort())};
    add_routed_experts(conversion, std::get<0>(parts[1].sort()), profiles, shape.num_experts - num_shared);
    conversion.router = {.kind = RouterKind::kLinear, .tensors = {{"weight", mean_gate_rows(conversion, layer)}}};
    conversion.top_k = shape.num_shared_experts + shape.top_k - num_shared;
    return conversion;
  }

 private:
  // Signed, a neuron whose gate is closed on average never counts as varying; the absolute mean makes most of them vary
  // and the layers alike.
  double share_that_varies(const at::Tensor& profiles) const {
    at::Tensor mean = profiles.mean(0);
    if (options_.mean == "absolute") mean = mean.abs();
    const at::Tensor deviation = profiles.std(/*dim=*/0, /*unbiased=*/false);
    return (deviation / (mean + kEpsilon)).gt(options_.cv_threshold).to(at::kDouble).mean().item<double>();
  }

  // The text leaves open what alpha is a fraction of. Of the active neurons, in whole experts: so every layer computes
  // what was asked for, and at least one expert is routed.
  static int64_t shared_experts(double alpha, const MoeShape& shape) {
    const int64_t num_active = shape.num_shared_experts + shape.top_k;
    return std::clamp(std::llround(alpha * static_cast<double>(num_active)), 0LL,
                      static_cast<long long>(num_active - 1));
  }

  void add_routed_experts(LayerConversion& conversion, const at::Tensor& neurons, const at::Tensor& profiles,
                          int64_t num_experts) const {
    const BalancedClusters clusters = balanced_k_means(
        profiles.index_select(1, neurons).t().contiguous(),
        {.num_clusters = num_experts, .num_restarts = 1, .max_iterations = kClusterIterations, .seed = seed_});
    for (int64_t expert = 0; expert < num_experts; ++expert) {
      conversion.experts.push_back({.neurons = neurons.masked_select(clusters.labels.eq(expert))});
    }
  }

  // [E, D]: unweighted means, so that a cluster's score is its neurons' mean gate.
  static at::Tensor mean_gate_rows(const LayerConversion& conversion, const DenseLayer& layer) {
    const at::Tensor& gate_proj = layer.weights.gate_proj;
    std::vector<at::Tensor> rows;
    for (const ExpertSpec& expert : conversion.experts) {
      const at::Tensor members = gate_proj.index_select(0, expert.neurons.to(gate_proj.device()));
      rows.push_back(members.to(at::kFloat).mean(0));
    }
    return at::stack(rows).to(gate_proj.scalar_type());
  }

  ExpertweaverOptions options_;
  uint64_t seed_;
  TaskProfiles profiles_;
};

class Expertweaver : public Converter {
 public:
  explicit Expertweaver(ExpertweaverOptions options) : options_(std::move(options)) {}

  // The paper's 64 experts, or the most that divide the layer. How many are shared differs from layer to layer; the
  // name says half of the active ones.
  MoeShape shape_for(double active_ratio, const LlamaConfig& config) const override {
    const int64_t eighths = active_eighths("expertweaver", active_ratio);
    int64_t num_experts = kMostExperts;
    while (num_experts > 8 && config.intermediate_size % num_experts != 0) num_experts -= 8;
    const int64_t num_active = num_experts * eighths / 8, num_shared = num_active / 2;
    return parse_moe_shape("S" + std::to_string(num_shared) + "A" + std::to_string(num_active - num_shared) + "E" +
                               std::to_string(num_experts),
                           config.intermediate_size);
  }

  void check_shape(const MoeShape& shape, const LlamaConfig& config) const override {
    check_partition_shape("expertweaver", shape, config);
  }

  CalibrationRequest calibration() const override { return {}; }

  std::unique_ptr<LayerObserver> observe_layer(const LayerContext& context) const override {
    return std::make_unique<ExpertweaverObserver>(options_, context);
  }

 private:
  ExpertweaverOptions options_;
};

const Registration<Converter, Expertweaver, ExpertweaverOptions> registration(
    "expertweaver",
    "hot neurons shared, fewer in layers where many vary with the task, the rest clustered by task profile "
    "(ExpertWeaver, "
    "arXiv 2602.15521; our implementation of the text, no code is public)");

}  // namespace
}  // namespace moebench
