// LLaMA-MoE-v2 (arXiv 2411.15708; OpenSparseLLMs/LLaMA-MoE-v2): tokens are clustered by what the FFN sees, the centres
// are the router, and each expert takes the neurons that matter most to the language-modelling loss of its tokens.
// Left out: the mixture of attention heads. Moment alignment is a switch on any method.
#include <algorithm>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>

#include "harness/converter.h"
#include "harness/evidence/neuron_gradients.h"
#include "harness/model/router.h"
#include "methods/balanced_k_means.h"
#include "methods/layout.h"
#include "methods/neuron_split.h"

namespace moebench {
namespace {

// N tokens, D hidden_size, F intermediate_size, E routed experts.

struct LlamaMoeV2Options {
  std::string layout = "residual";
  std::string router = "centres";
  int64_t sample_tokens = 2048;
  double scale = 1;
  bool keep_first_and_last_dense = false;

  void for_each(auto&& visit) {
    visit("layout", layout,
          "at a given ratio: residual (S1A1E8 at 0.25, one expert always on) or vanilla (S0A2E8); both published",
          {"residual", "vanilla"});
    visit(
        "router", router,
        "from cluster centres c: centres (published: c x, which need not choose the nearest) or nearest (c x - |c|^2 / "
        "2, which does)",
        {"centres", "nearest"});
    visit("sample_tokens", sample_tokens, "tokens clustered in each layer (published: up to 327680)");
    visit("scale", scale,
          "of the routed experts' output, whose weights add up to 1 (published script: 1, an average of the chosen; "
          "top_k makes it about their sum)");
    visit("keep_first_and_last_dense", keep_first_and_last_dense,
          "leave the first and the last layer dense, as the published residual models do; the active ratio then is "
          "larger than the shape says");
  }
};

// Of the whole model, per layer.
struct TokenClusters : Preparation {
  std::vector<RouterSpec> routers;
  at::Tensor importance;  // [num_layers, E, F] double, on the CPU
};

// Of the text's tokens a random num_tokens, per layer as the FFN sees them: [num_tokens, D]. One dense pass, layer by
// layer.
std::vector<at::Tensor> sampled_inputs(const ConversionContext& context, const std::vector<at::Tensor>& windows,
                                       int64_t num_tokens, const std::function<void(double)>& progress) {
  const at::Tensor ids = at::cat(windows);
  std::vector<int64_t> lengths;
  for (const at::Tensor& window : windows) lengths.push_back(window.size(0));
  const at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(context.seed);
  const at::Tensor drawn = at::randperm(ids.size(0), generator, at::kLong).narrow(0, 0, num_tokens);
  const std::vector<at::Tensor> chosen =
      at::zeros(ids.size(0), at::kBool).index_fill_(0, drawn, 1).to(context.precision.device).split_with_sizes(lengths);
  std::vector<at::Tensor> residuals =
      embed(context.checkpoint, ids.unsqueeze(0), context.precision).split_with_sizes(lengths, 1);

  std::vector<at::Tensor> samples;
  const int64_t num_layers = context.checkpoint.config().num_layers;
  for (int64_t index = 0; index < num_layers; ++index) {
    const LlamaLayer layer = LlamaLayer::load(context.checkpoint, index, context.precision);
    std::vector<at::Tensor> rows;
    for (size_t window = 0; window < windows.size(); ++window) {
      const at::Tensor attended = layer.attend(residuals[window]);
      const at::Tensor inputs = layer.feed_forward_input(attended).squeeze(0);
      rows.push_back(inputs.index_select(0, chosen[window].nonzero().squeeze(1)));
      residuals[window] = attended + layer.feed_forward().forward(inputs).unsqueeze(0);
    }
    samples.push_back(at::cat(rows).to(at::kCPU, at::kFloat));
    progress(static_cast<double>(index + 1) / static_cast<double>(num_layers));
  }
  return samples;
}

// [E, D] of each layer. One start, not sixteen as in the published script, which take as many times as long.
std::vector<at::Tensor> cluster_centres(const std::vector<at::Tensor>& samples, int64_t num_clusters, uint64_t seed) {
  std::vector<at::Tensor> centres(samples.size());
  at::parallel_for(0, static_cast<int64_t>(samples.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t layer = begin; layer < end; ++layer) {
      centres[layer] =
          balanced_k_means(samples[layer],
                           {.num_clusters = num_clusters, .num_restarts = 1, .max_iterations = 50, .seed = seed})
              .centroids;
    }
  });
  return centres;
}

// Per layer, of each cluster's tokens the mean |h dL/dh|; tokens belong to the expert that the router ranks first.
at::Tensor token_importance(const ConversionContext& context, const std::vector<at::Tensor>& windows,
                            const std::vector<RouterSpec>& routers, const std::function<void(double)>& progress) {
  const int64_t num_experts = context.shape.num_routed_experts();
  const LlamaConfig& config = context.checkpoint.config();
  const auto doubles = at::TensorOptions().dtype(at::kDouble).device(context.precision.device);
  const at::Tensor sums = at::zeros({config.num_layers, num_experts, config.intermediate_size}, doubles);
  const at::Tensor num_tokens = at::zeros({config.num_layers, num_experts, 1}, doubles);
  for_each_neuron_gradient(
      context.checkpoint, context.precision, windows,
      [&](const NeuronGradients& seen) {
        const at::Tensor experts = router_logits(routers[seen.layer], seen.inputs).argmax(1);
        const at::Tensor belongs_EN = at::one_hot(experts, num_experts).t().to(at::kFloat);
        const at::Tensor changes_NF = (seen.gradients.to(at::kFloat) * seen.activations).abs_();
        sums[seen.layer] += belongs_EN.matmul(changes_NF);
        num_tokens[seen.layer] += belongs_EN.sum(1, /*keepdim=*/true);
      },
      progress);
  return (sums / num_tokens.clamp_min(1)).to(at::kCPU);
}

class LlamaMoeV2Observer : public LayerObserver {
 public:
  LlamaMoeV2Observer(const LlamaMoeV2Options& options, const TokenClusters& clusters, bool keep_dense)
      : options_(options), clusters_(clusters), keep_dense_(keep_dense) {}

  void observe(const FfnChunk&) override {}

  LayerConversion convert(const DenseLayer& layer, const MoeShape& shape) override {
    LayerConversion conversion;
    conversion.keep_dense = keep_dense_;
    if (keep_dense_) return conversion;
    const ResidualSplit split = sharing_inter_split(clusters_.importance[layer.index], shape.num_shared_experts,
                                                    shape.expert_intermediate_size, /*share_neurons=*/false);
    if (shape.num_shared_experts > 0) conversion.shared = expert_of(split.residual);
    for (const std::vector<int64_t>& neurons : split.routed) conversion.experts.push_back(expert_of(neurons));
    conversion.router = clusters_.routers[layer.index];
    conversion.rule.softmax = RoutingRule::Softmax::kAfterTopK;  // published: before it, then divided by the sum
    conversion.rule.weights = RoutingRule::Weights::kScores;
    conversion.rule.scale = options_.scale;
    conversion.top_k = shape.top_k;
    return conversion;
  }

 private:
  LlamaMoeV2Options options_;
  const TokenClusters& clusters_;
  bool keep_dense_;
};

class LlamaMoeV2 : public Converter {
 public:
  explicit LlamaMoeV2(LlamaMoeV2Options options) : options_(std::move(options)) {
    if (options_.sample_tokens < 1) {
      throw std::invalid_argument("llama_moe_v2: option 'sample_tokens' must be at least 1");
    }
    if (!(options_.scale > 0)) throw std::invalid_argument("llama_moe_v2: option 'scale' must be greater than 0");
  }

  // Published: 1 + 7 experts with top 1, and 8 with top 2, at 0.25. The other ratios follow their pattern.
  MoeShape shape_for(double active_ratio, const LlamaConfig& config) const override {
    const int64_t eighths = active_eighths("llama_moe_v2", active_ratio);
    if (eighths == 8) {
      throw std::invalid_argument("llama_moe_v2: active ratio 1 is the dense model; the nearest is 0.875");
    }
    const bool residual = options_.layout == "residual";
    if (residual && eighths == 1) return parse_moe_shape("S1A1E16", config.intermediate_size);
    const std::string layout =
        residual ? "S1A" + std::to_string(eighths - 1) + "E8" : "S0A" + std::to_string(eighths) + "E8";
    return parse_moe_shape(layout, config.intermediate_size);
  }

  void check_shape(const MoeShape& shape, const LlamaConfig& config) const override {
    check_partition_shape("llama_moe_v2", shape, config);
    if (options_.sample_tokens < shape.num_routed_experts()) {
      throw std::invalid_argument("llama_moe_v2: option 'sample_tokens' must be at least the number of experts, " +
                                  std::to_string(shape.num_routed_experts()));
    }
  }

  CalibrationRequest calibration() const override { return {.observes_layers = false}; }

  // As many clusters as routed experts. (The released code disagrees with itself: its split asks for one more for each
  // residual expert and ignores those, its conversion script reads a clustering of 7 for 7 routed experts.)
  std::shared_ptr<const Preparation> prepare(const ConversionContext& context) const override {
    const int64_t num_experts = context.shape.num_routed_experts();
    std::vector<at::Tensor> windows;
    int64_t num_tokens = 0;
    for (const at::Tensor& domain : context.text->windows) {
      num_tokens += domain.numel();
      for (const at::Tensor& window : domain.unbind(0)) windows.push_back(window);
    }
    const int64_t num_sampled = std::min(options_.sample_tokens, num_tokens) / num_experts * num_experts;
    if (num_sampled == 0) {
      throw std::invalid_argument("llama_moe_v2: calibration text of " + std::to_string(num_tokens) +
                                  " tokens is too little for " + std::to_string(num_experts) + " clusters");
    }
    const auto part_of_progress = [&](double from, double to) {
      return [&context, from, to](double done) {
        if (context.progress) context.progress(from + done * (to - from));
      };
    };
    // Of the time, the backward passes take most.
    const std::vector<at::Tensor> samples = sampled_inputs(context, windows, num_sampled, part_of_progress(0, 0.2));
    auto clusters = std::make_shared<TokenClusters>();
    for (const at::Tensor& centres : cluster_centres(samples, num_experts, context.seed)) {
      clusters->routers.push_back(router_of(centres, context.precision));
    }
    clusters->importance = token_importance(context, windows, clusters->routers, part_of_progress(0.2, 1));
    return clusters;
  }

  std::unique_ptr<LayerObserver> observe_layer(const LayerContext& context) const override {
    const bool is_outermost = context.dense.index == 0 || context.dense.index == context.num_layers - 1;
    return std::make_unique<LlamaMoeV2Observer>(options_, dynamic_cast<const TokenClusters&>(*context.preparation),
                                                options_.keep_first_and_last_dense && is_outermost);
  }

  // Released script: all weights, rate 2e-5 without decay; the configuration's router_aux_loss_coef. beta2: the
  // Hugging Face trainer's default.
  RetrainRecipe retrain_recipe() const override {
    return {{.name = "sft",
             .experts = Training::kFull,
             .attention = Training::kFull,
             .norms = true,
             .embeddings = true,
             .learning_rate = 2e-5,
             .schedule = RetrainStage::Schedule::kCosine,
             .warm_up_share = 0.03,
             .beta2 = 0.999,
             .switch_balance = 1e-2}};
  }

 private:
  RouterSpec router_of(const at::Tensor& centres, const Precision& precision) const {
    const auto options = at::TensorOptions().dtype(precision.dtype).device(precision.device);
    RouterSpec router{.kind = RouterKind::kLinear, .tensors = {{"weight", centres.to(options)}}};
    if (options_.router == "nearest") router.tensors["bias"] = (centres.square().sum(1) / -2).to(options);
    return router;
  }

  LlamaMoeV2Options options_;
};

const Registration<Converter, LlamaMoeV2, LlamaMoeV2Options> registration(
    "llama_moe_v2", "token clusters as router, experts by importance to their tokens (LLaMA-MoE-v2, arXiv 2411.15708)");

}  // namespace
}  // namespace moebench
