#include "harness/model/moe_layer.h"

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

#include <ATen/ATen.h>

#include "harness/model/fused_feed_forward.h"
#include "harness/model/linear.h"
#include "harness/model/token_run.h"

namespace moebench {
namespace {

// T tokens, D hidden_size, E routed experts.

struct Expert {
  GatedMlpWeights weights;
  std::optional<at::Tensor> output_bias;
  int64_t top_neurons = 0;  // ExpertSpec::top_neurons

  at::Tensor forward(const at::Tensor& hidden) const {
    at::Tensor activations = gated_activations(weights, hidden);
    if (top_neurons > 0) activations = largest_only(activations);
    return apply_linear(activations, weights.down_proj, output_bias);
  }
  int64_t active_neurons() const { return top_neurons > 0 ? top_neurons : intermediate_size(); }
  int64_t intermediate_size() const { return weights.gate_proj.size(0); }
  int64_t parameters() const {
    return weights.gate_proj.numel() + weights.up_proj.numel() + weights.down_proj.numel() +
           (output_bias ? output_bias->numel() : 0);
  }
  // What a token uses of it.
  int64_t active_parameters() const {
    return parameters() - (intermediate_size() - active_neurons()) * 3 * weights.gate_proj.size(1);
  }

 private:
  at::Tensor largest_only(const at::Tensor& activations) const {
    const at::Tensor kept = std::get<1>(activations.abs().topk(top_neurons, 1));
    return at::zeros_like(activations).scatter_(1, kept, activations.gather(1, kept));
  }
};

// expert(hidden[tokens]). Where hidden's rows are padded, so are these (token_run.h).
at::Tensor visit(const Expert& expert, const at::Tensor& hidden, const at::Tensor& tokens) {
  const int64_t count = tokens.size(0);
  if (hidden.size(0) % kRowMultiple != 0) return expert.forward(hidden.index_select(0, tokens));
  const int64_t padding = (count + kRowMultiple - 1) / kRowMultiple * kRowMultiple - count;
  const at::Tensor rows = at::constant_pad_nd(tokens, {0, padding});
  return expert.forward(hidden.index_select(0, rows)).narrow(0, 0, count);
}

// Brings the conversion's tensors to where and what the dense weights are.
class Cutter {
 public:
  explicit Cutter(const GatedMlpWeights& dense) : dense_(dense), options_(dense.gate_proj.options()) {}

  at::Tensor bring(const at::Tensor& tensor) const { return tensor.to(options_); }
  std::optional<at::Tensor> bring(const std::optional<at::Tensor>& tensor) const {
    return tensor ? std::optional(bring(*tensor)) : std::nullopt;
  }

  Expert cut(const ExpertSpec& spec) const {
    Expert expert;
    expert.output_bias = bring(spec.output_bias);
    expert.top_neurons = spec.top_neurons;
    expert.weights = cut_weights(spec);
    expert.weights.gate_proj = updated(expert.weights.gate_proj, spec.updates.gate_proj);
    expert.weights.up_proj = updated(expert.weights.up_proj, spec.updates.up_proj);
    expert.weights.down_proj = updated(expert.weights.down_proj, spec.updates.down_proj);
    return expert;
  }

  RouterSpec cut(RouterSpec router) const {
    for (auto& [name, tensor] : router.tensors) tensor = bring(tensor);
    return router;
  }

  // Scores are fp32 whatever the weights are.
  RoutingRule cut(RoutingRule rule) const {
    if (rule.selection_bias) rule.selection_bias = rule.selection_bias->to(options_.dtype(at::kFloat));
    if (rule.expert_scale) rule.expert_scale = rule.expert_scale->to(options_.dtype(at::kFloat));
    return rule;
  }

  // [E, D], or nothing if no expert has one.
  std::optional<at::Tensor> cut_absent_biases(const std::vector<ExpertSpec>& experts) const {
    std::optional<at::Tensor> biases_ED;
    for (size_t expert = 0; expert < experts.size(); ++expert) {
      if (!experts[expert].absent_bias) continue;
      if (!biases_ED) {
        biases_ED = at::zeros({static_cast<int64_t>(experts.size()), dense_.gate_proj.size(1)}, options_);
      }
      biases_ED->select(0, static_cast<int64_t>(expert)).copy_(*experts[expert].absent_bias);
    }
    return biases_ED;
  }

 private:
  GatedMlpWeights cut_weights(const ExpertSpec& spec) const {
    if (spec.own_weights) {
      return {bring(spec.own_weights->gate_proj), bring(spec.own_weights->up_proj), bring(spec.own_weights->down_proj)};
    }
    const at::Tensor neurons = spec.neurons.to(options_.device());
    return {dense_.gate_proj.index_select(0, neurons), dense_.up_proj.index_select(0, neurons),
            spec.down_proj ? bring(*spec.down_proj) : dense_.down_proj.index_select(1, neurons)};
  }

  const GatedMlpWeights& dense_;
  at::TensorOptions options_;
};

}  // namespace

struct MoeLayer::State {
  std::vector<Expert> experts;
  std::optional<Expert> shared;
  std::optional<at::Tensor> absent_biases;  // [E, D]
  int64_t absent_bias_parameters = 0;
  RouterSpec router;
  RoutingRule rule;
  int64_t top_k = 0;
  RoutingObserver observer;

  std::vector<at::Tensor> all_outputs(const at::Tensor& hidden) const {
    std::vector<at::Tensor> outputs;
    for (const Expert& expert : experts) outputs.push_back(expert.forward(hidden));
    return outputs;
  }

  at::Tensor norms_of(const std::vector<at::Tensor>& outputs) const {
    std::vector<at::Tensor> norms;
    for (size_t expert = 0; expert < outputs.size(); ++expert) {
      // What visiting changes: without the expert its absent bias would stand there.
      const at::Tensor change =
          absent_biases ? outputs[expert] - (*absent_biases)[static_cast<int64_t>(expert)] : outputs[expert];
      norms.push_back(change.to(at::kFloat).norm(2, {1}));
    }
    return at::stack(norms, 1);
  }

  Routing route_by_norm(const std::vector<at::Tensor>& outputs) const {
    return choose_experts(norms_of(outputs), router.kind, rule, top_k);
  }

  Routing route_by_logits(const at::Tensor& hidden) const {
    return choose_experts(router_logits(router, hidden), router.kind, rule, top_k);
  }

  bool routes() const { return top_k > 0; }

  bool needs_gradients_of(const at::Tensor& hidden) const {
    return (shared && needs_gradients(hidden, shared->weights)) ||
           std::any_of(experts.begin(), experts.end(),
                       [&](const Expert& expert) { return needs_gradients(hidden, expert.weights); });
  }

  std::optional<MixtureTensors> tensors() const {
    const auto is_bound = [](const Expert& expert) { return expert.top_neurons > 0; };
    if ((routes() && router.kind == RouterKind::kOracle) || (shared && is_bound(*shared)) ||
        std::any_of(experts.begin(), experts.end(), is_bound)) {
      return std::nullopt;
    }
    MixtureTensors mixture{.router = router, .rule = rule, .top_k = top_k};
    for (size_t expert = 0; expert < experts.size(); ++expert) {
      mixture.experts.push_back({experts[expert].weights, experts[expert].output_bias});
      if (absent_biases) mixture.experts.back().absent_bias = (*absent_biases)[static_cast<int64_t>(expert)];
    }
    if (shared) mixture.shared = {shared->weights, shared->output_bias};
    return mixture;
  }

  // Packed at the first forward pass that it can serve; null where no kernel computes such a layer.
  const FusedFeedForward* fused() const {
    std::call_once(fused_once, [&] {
      const std::optional<MixtureTensors> mixture = tensors();
      if (mixture) fused_kernel = FusedFeedForward::create(*mixture);
    });
    return fused_kernel.get();
  }

 private:
  mutable std::once_flag fused_once;
  mutable std::unique_ptr<FusedFeedForward> fused_kernel;
};

MoeLayer::MoeLayer(const GatedMlpWeights& dense, const LayerConversion& conversion)
    : state_(std::make_unique<State>()) {
  check_layer_conversion(conversion, "layer", dense.gate_proj.size(0), dense.gate_proj.size(1));
  if (conversion.keep_dense) throw std::invalid_argument("a layer that is kept dense has no experts to route to");
  const Cutter cutter(dense);
  for (const ExpertSpec& expert : conversion.experts) {
    state_->experts.push_back(cutter.cut(expert));
    if (expert.absent_bias) state_->absent_bias_parameters += expert.absent_bias->numel();
  }
  if (conversion.shared) state_->shared = cutter.cut(*conversion.shared);
  state_->absent_biases = cutter.cut_absent_biases(conversion.experts);
  state_->router = cutter.cut(conversion.router);
  state_->rule = cutter.cut(conversion.rule);
  state_->top_k = conversion.top_k;
}

MoeLayer::~MoeLayer() = default;

Routing MoeLayer::route(const at::Tensor& hidden) const {
  if (!state_->routes()) {
    return {at::empty({hidden.size(0), 0}, hidden.options().dtype(at::kLong)),
            at::empty({hidden.size(0), 0}, hidden.options().dtype(at::kFloat))};
  }
  const bool is_oracle = state_->router.kind == RouterKind::kOracle;
  return is_oracle ? state_->route_by_norm(state_->all_outputs(hidden)) : state_->route_by_logits(hidden);
}

at::Tensor MoeLayer::forward(const at::Tensor& hidden) const {
  const FusedFeedForward* fused = state_->needs_gradients_of(hidden) ? nullptr : state_->fused();
  return fused ? forward_fused(*fused, hidden) : forward_by_operators(hidden);
}

at::Tensor MoeLayer::forward_fused(const FusedFeedForward& fused, const at::Tensor& hidden) const {
  if (!state_->observer) return fused.forward(hidden);
  Routing routing = state_->routes() ? Routing() : route(hidden);
  const at::Tensor output = fused.forward(hidden, &routing);
  state_->observer(hidden, routing);
  return output;
}

at::Tensor MoeLayer::forward_by_operators(const at::Tensor& hidden) const {
  const bool is_oracle = state_->routes() && state_->router.kind == RouterKind::kOracle;
  const std::vector<at::Tensor> oracle_outputs = is_oracle ? state_->all_outputs(hidden) : std::vector<at::Tensor>();
  const Routing routing = is_oracle ? state_->route_by_norm(oracle_outputs) : route(hidden);
  if (state_->observer) state_->observer(hidden, routing);

  at::Tensor output_TD = state_->shared ? state_->shared->forward(hidden) : at::zeros_like(hidden);
  const int64_t num_experts = static_cast<int64_t>(state_->experts.size());
  if (num_experts == 0) return output_TD;
  at::Tensor visited_TE = at::zeros({hidden.size(0), num_experts}, hidden.options().dtype(at::kBool));
  if (routing.visited.defined()) {
    visited_TE.scatter_(1, routing.experts, routing.visited);
  } else {
    visited_TE.scatter_(1, routing.experts, true);
  }
  const at::Tensor weights_TE =
      at::zeros(visited_TE.sizes(), routing.weights.options()).scatter(1, routing.experts, routing.weights);
  if (state_->absent_biases) {
    output_TD = output_TD + visited_TE.logical_not().to(hidden.scalar_type()).matmul(*state_->absent_biases);
  }
  for (int64_t expert = 0; expert < num_experts; ++expert) {
    const at::Tensor tokens = visited_TE.select(1, expert).nonzero().squeeze(1);  // ascending, so sums have one order
    if (tokens.numel() == 0) continue;
    const at::Tensor expert_output =
        is_oracle ? oracle_outputs[expert].index_select(0, tokens) : visit(state_->experts[expert], hidden, tokens);
    const at::Tensor weights = weights_TE.select(1, expert).index_select(0, tokens).unsqueeze(1);
    output_TD.index_add_(0, tokens, expert_output * weights.to(hidden.scalar_type()));
  }
  return output_TD;
}

std::optional<MixtureTensors> MoeLayer::tensors() const { return state_->tensors(); }

at::Tensor MoeLayer::contribution_norms(const at::Tensor& hidden) const {
  return state_->norms_of(state_->all_outputs(hidden));
}

void MoeLayer::observe_routing(RoutingObserver observer) const { state_->observer = std::move(observer); }

int64_t MoeLayer::num_experts() const { return static_cast<int64_t>(state_->experts.size()); }

int64_t MoeLayer::expert_intermediate_size(int64_t expert) const {
  return state_->experts.at(expert).intermediate_size();
}

int64_t MoeLayer::shared_active_neurons() const { return state_->shared ? state_->shared->active_neurons() : 0; }

int64_t MoeLayer::router_parameters() const {
  int64_t parameters = 0;
  for (const auto& [name, tensor] : state_->router.tensors) parameters += tensor.numel();
  return parameters;
}

int64_t MoeLayer::always_active_parameters() const {
  return (state_->shared ? state_->shared->active_parameters() : 0) + router_parameters() +
         state_->absent_bias_parameters;
}

int64_t MoeLayer::idle_parameters() const {
  return state_->shared ? state_->shared->parameters() - state_->shared->active_parameters() : 0;
}

int64_t MoeLayer::expert_parameters(int64_t expert) const { return state_->experts.at(expert).parameters(); }

void apply_conversion(const Conversion& conversion, LlamaModel& model) {
  const LlamaConfig& config = model.config();
  check_conversion(conversion, config.num_layers, config.intermediate_size, config.hidden_size);
  for (const auto& [name, tensor] : conversion.model_tensors) model.replace_weight(name, tensor);
  for (const auto& [name, update] : conversion.model_updates) model.update_weight(name, update);
  for (LlamaLayer& layer : model.layers()) {
    const LayerConversion& layer_conversion = conversion.layers[layer.index()];
    if (layer_conversion.keep_dense) continue;
    layer.replace_feed_forward(std::make_shared<MoeLayer>(layer.dense_weights(), layer_conversion));
  }
}

}  // namespace moebench
