#include "harness/retraining/trainable_model.h"

#include <algorithm>
#include <utility>

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include "harness/model/weight.h"
#include "harness/retraining/head_loss.h"
#include "harness/retraining/layer_functions.h"
#include "harness/retraining/random_seed.h"

namespace moebench {
namespace {

constexpr const char* kEmbeddingName = "model.embed_tokens.weight";
constexpr const char* kNormName = "model.norm.weight";
constexpr const char* kHeadName = "lm_head.weight";

at::Generator generator_of(uint64_t seed, int64_t layer) {
  return at::detail::createCPUGenerator(mixed_seed(seed, static_cast<uint64_t>(layer)));
}

// The model is differentiated layer by layer: each one's graph ends at its input, a leaf.
struct Segment {
  at::Tensor input, output;
  LayerPass pass;
};

// The graph's leaf for what a layer got.
at::Tensor cut(const at::Tensor& tensor, bool needs_gradient) {
  return tensor.detach().set_requires_grad(needs_gradient);
}

// Adds to .grad of everything that output (with this gradient) and balance loss (times factor) depend on.
void differentiate(const Segment& segment, const at::Tensor& output_gradient, double balance_factor) {
  std::vector<at::Tensor> roots, gradients;
  if (segment.output.requires_grad()) {
    roots.push_back(segment.output);
    gradients.push_back(output_gradient);
  }
  if (segment.pass.balance_loss.defined() && segment.pass.balance_loss.requires_grad()) {
    roots.push_back(segment.pass.balance_loss);
    gradients.push_back(at::full_like(segment.pass.balance_loss, balance_factor));
  }
  if (!roots.empty()) torch::autograd::backward(roots, gradients);
}

}  // namespace

struct TrainableModel::State {
  const Conversion source;
  RetrainStage stage;
  LlamaConfig config;
  TrainableModelOptions options;
  std::vector<TrainedLayer> layers;
  at::Tensor embedding, norm, head;  // head undefined where it is the embedding

  const at::Tensor& head_weight() const { return head.defined() ? head : embedding; }

  // [B, T, D]; part of a graph only where embeddings are trained.
  at::Tensor embed(const at::Tensor& ids) const { return at::embedding(embedding, ids).to(options.dtype); }

  LayerPass pass_for(int64_t layer, uint64_t seed) const { return {.generator = generator_of(seed, layer)}; }
};

TrainableModel::TrainableModel(const Checkpoint& checkpoint, const Conversion& conversion, const RetrainStage& stage,
                               const TrainableModelOptions& options, const NoiseWeights& noise_weights)
    : state_(new State{.source = conversion, .stage = stage, .config = checkpoint.config(), .options = options}) {
  const LlamaConfig& config = state_->config;
  check_conversion(conversion, config.num_layers, config.intermediate_size, config.hidden_size);
  const WeightSource source{checkpoint, conversion};
  const auto load_matrix = [&](const char* name) {
    const at::Tensor weight = source.load(name).to(stage.embeddings ? at::kFloat : options.dtype);
    return stage.embeddings ? weight.clone().set_requires_grad(true) : weight;
  };
  state_->embedding = load_matrix(kEmbeddingName);
  if (!config.tie_word_embeddings) state_->head = load_matrix(kHeadName);
  state_->norm = load_norm(source, kNormName, stage.norms);
  const auto rotary_embedding = std::make_shared<RotaryEmbedding>(config, at::kCPU);
  for (int64_t layer = 0; layer < config.num_layers; ++layer) {
    at::Generator generator = generator_of(options.seed, layer);
    const auto noise = noise_weights.find(layer);
    state_->layers.emplace_back(source, layer, stage, options.dtype, rotary_embedding,
                                noise == noise_weights.end() ? at::Tensor() : noise->second, generator);
  }

  if (stage.embeddings) parameters_.push_back({kEmbeddingName, state_->embedding});
  if (stage.embeddings && state_->head.defined()) parameters_.push_back({kHeadName, state_->head});
  if (stage.norms) parameters_.push_back({kNormName, state_->norm});
  for (const TrainedLayer& layer : state_->layers) layer.add_parameters(parameters_);
}

TrainableModel::~TrainableModel() = default;

at::Tensor TrainableModel::forward(const at::Tensor& ids, uint64_t seed) const {
  const at::NoGradGuard no_grad;
  at::Tensor residual = state_->embed(ids);
  for (int64_t layer = 0; layer < state_->config.num_layers; ++layer) {
    LayerPass pass = state_->pass_for(layer, seed);
    residual = state_->layers[layer].forward(residual, pass);
  }
  return trained_rms_norm(residual, state_->norm, state_->config.rms_norm_eps);
}

double TrainableModel::mean_cross_entropy(const at::Tensor& ids) const {
  const at::NoGradGuard no_grad;
  const int64_t num_predicted = ids.size(1) - 1;
  const at::Tensor targets = ids.narrow(1, 1, num_predicted).flatten();
  const HeadLoss loss = head_loss(forward(ids).narrow(1, 0, num_predicted).flatten(0, 1),
                                  state_->head_weight().detach().to(state_->options.dtype), targets, 1, {});
  return loss.sum / static_cast<double>(targets.numel());
}

TrainableModel::Loss TrainableModel::add_gradients(const at::Tensor& ids, double factor, double balance_factor,
                                                   uint64_t seed) {
  const at::AutoGradMode with_gradients(true);
  const State& state = *state_;
  Loss loss;
  std::vector<Segment> segments(state.layers.size());
  const auto run = [&](size_t layer) {
    Segment& segment = segments[layer];
    segment.pass = state.pass_for(static_cast<int64_t>(layer), seed);
    segment.output = state.layers[layer].forward(segment.input, segment.pass);
  };

  const at::Tensor embedded = state.embed(ids);
  at::Tensor residual = embedded;
  for (size_t layer = 0; layer < segments.size(); ++layer) {
    segments[layer].input = cut(residual, layer > 0 || state.stage.embeddings);
    run(layer);  // with a graph even where it is dropped: without one, products may round otherwise
    residual = segments[layer].output.detach();
    const LayerPass& pass = segments[layer].pass;
    loss.visits.push_back(pass.visits);
    if (pass.balance_loss.defined()) loss.balance += pass.balance_loss.item<double>();
    if (state.options.activation_checkpointing) segments[layer].output.reset();
  }

  // Of the last hidden states, those that have a next token.
  const int64_t num_predicted = ids.size(1) - 1;
  Segment last{.input = cut(residual, true)};
  last.output = trained_rms_norm(last.input.narrow(1, 0, num_predicted), state.norm, state.config.rms_norm_eps);
  const at::Tensor head = state.head_weight();
  if (head.requires_grad() && !head.grad().defined()) head.mutable_grad() = at::zeros_like(head);
  const HeadLoss of_head = head_loss(last.output.detach().flatten(0, 1), head.detach().to(state.options.dtype),
                                     ids.narrow(1, 1, num_predicted).flatten(), factor, head.grad());
  loss.cross_entropy = of_head.sum;
  differentiate(last, of_head.hidden_gradient.view_as(last.output), 0);
  at::Tensor gradient = last.input.grad();

  for (size_t layer = segments.size(); layer-- > 0;) {
    if (state.options.activation_checkpointing) run(layer);
    differentiate(segments[layer], gradient, balance_factor);
    gradient = segments[layer].input.grad();
    segments[layer] = {};
  }
  if (state.stage.embeddings) torch::autograd::backward({embedded}, {gradient});
  return loss;
}

void TrainableModel::step_selection_biases(const std::vector<at::Tensor>& visits) {
  for (size_t layer = 0; layer < visits.size(); ++layer) {
    state_->layers[layer].mixture().step_selection_bias(visits[layer]);
  }
}

std::vector<TrainedParameter> TrainableModel::selection_biases() const {
  std::vector<TrainedParameter> biases;
  for (size_t layer = 0; layer < state_->layers.size(); ++layer) {
    const at::Tensor bias = state_->layers[layer].mixture().selection_bias();
    if (bias.defined()) biases.push_back({"layers." + std::to_string(layer) + ".selection_bias", bias});
  }
  return biases;
}

NoiseWeights TrainableModel::noise_weights() const {
  NoiseWeights weights;
  for (size_t layer = 0; layer < state_->layers.size(); ++layer) {
    const at::Tensor weight = state_->layers[layer].mixture().noise_weight();
    if (weight.defined()) weights[static_cast<int64_t>(layer)] = weight.detach().clone();
  }
  return weights;
}

Conversion TrainableModel::conversion() const {
  const at::NoGradGuard no_grad;
  Conversion conversion = state_->source;
  for (const TrainedLayer& layer : state_->layers) layer.write_to(conversion);
  if (state_->stage.norms) conversion.model_tensors[kNormName] = state_->norm.detach().clone();
  if (state_->stage.embeddings) {
    conversion.model_tensors[kEmbeddingName] = state_->embedding.detach().clone();
    if (state_->head.defined()) conversion.model_tensors[kHeadName] = state_->head.detach().clone();
  }
  return conversion;
}

bool trains_something(const RetrainStage& stage, const Conversion& conversion) {
  if (stage.experts != Training::kFrozen || stage.attention != Training::kFrozen || stage.norms || stage.embeddings) {
    return true;
  }
  return std::any_of(conversion.layers.begin(), conversion.layers.end(), [&](const LayerConversion& layer) {
    if (layer.top_k == 0) return false;
    return (stage.router && !layer.router.tensors.empty()) || (stage.expert_scale && layer.rule.expert_scale) ||
           stage.selection_bias_step > 0;
  });
}

}  // namespace moebench
