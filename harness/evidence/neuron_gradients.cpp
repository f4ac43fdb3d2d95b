#include "harness/evidence/neuron_gradients.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include "harness/model/rms_norm.h"
#include "harness/model/weight.h"

namespace moebench {
namespace {

// T tokens, D hidden_size, F intermediate_size, V vocab_size.

// Tokens whose logits exist at a time: 100 MB in fp32 for SmolLM2's vocabulary.
constexpr int64_t kHeadTokens = 512;

// Of the sum of outputs * gradients with respect to input, which they were computed from.
at::Tensor gradient(const at::Tensor& input, std::vector<at::Tensor> outputs, std::vector<at::Tensor> gradients) {
  return torch::autograd::grad(outputs, {input}, gradients).front();
}

// The dense model, backwards from the loss to every layer's h. Products of the feed-forward networks and the head are
// differentiated by hand, for no weight needs a gradient.
class BackwardModel {
 public:
  BackwardModel(const Checkpoint& checkpoint, const Precision& precision)
      : model_(LlamaModel::load(checkpoint, precision)),
        final_norm_(load_weight(checkpoint, "model.norm.weight", precision)),
        head_(load_weight(checkpoint,
                          model_.config().tie_word_embeddings ? "model.embed_tokens.weight" : "lm_head.weight",
                          precision)) {}

  // ids: [T]; embedded: [T, D].
  void run(const at::Tensor& ids, const at::Tensor& embedded, int64_t window,
           const std::function<void(const NeuronGradients&)>& visit) const {
    const std::vector<LlamaLayer>& layers = model_.layers();
    std::vector<at::Tensor> residuals{embedded.unsqueeze(0)};
    for (const LlamaLayer& layer : layers) residuals.push_back(layer.forward(residuals.back()));
    at::Tensor residual_gradient = loss_gradient(ids.to(embedded.device()), residuals.back());
    for (size_t index = layers.size(); index-- > 0;) {
      residuals.pop_back();
      residual_gradient = layer_gradient(layers[index], residuals.back(), residual_gradient, window, visit);
    }
  }

 private:
  // dL/d(residual) of the last layer's output, [1, T, D].
  at::Tensor loss_gradient(const at::Tensor& ids, const at::Tensor& residual) const {
    const c10::AutoGradMode with_gradients(true);
    const at::Tensor input = residual.detach().requires_grad_();
    const at::Tensor normed = rms_norm(input, final_norm_, model_.config().rms_norm_eps);
    return gradient(input, {normed}, {head_gradient(ids, normed.detach().squeeze(0)).unsqueeze(0)});
  }

  // normed: [T, D]. dL/d(normed) of L = mean cross-entropy of the next token; the last token predicts nothing.
  at::Tensor head_gradient(const at::Tensor& ids, const at::Tensor& normed) const {
    const at::NoGradGuard no_grad;
    const int64_t num_targets = ids.size(0) - 1;
    at::Tensor gradients = at::zeros_like(normed);
    for (int64_t first = 0; first < num_targets; first += kHeadTokens) {
      const int64_t count = std::min(kHeadTokens, num_targets - first);
      const at::Tensor targets = ids.narrow(0, first + 1, count).unsqueeze(1);
      const at::Tensor logits = at::linear(normed.narrow(0, first, count), head_).to(at::kFloat);
      at::Tensor difference = at::softmax(logits, -1);
      difference.scatter_add_(1, targets, at::full_like(targets, -1, difference.options()));
      difference.div_(num_targets);
      gradients.narrow(0, first, count).copy_(at::mm(difference.to(normed.scalar_type()), head_));
    }
    return gradients;
  }

  // From dL/d(residual) after the layer, [1, T, D], to that before it.
  at::Tensor layer_gradient(const LlamaLayer& layer, const at::Tensor& residual, const at::Tensor& output_gradient,
                            int64_t window, const std::function<void(const NeuronGradients&)>& visit) const {
    const c10::AutoGradMode with_gradients(true);
    const at::Tensor input = residual.detach().requires_grad_();
    const at::Tensor attended = layer.attend(input);
    const at::Tensor ffn_input = layer.feed_forward_input(attended);
    at::Tensor ffn_input_gradient;
    {
      const at::NoGradGuard no_grad;
      const GatedMlpWeights& weights = layer.dense_weights();
      const at::Tensor inputs = ffn_input.detach().squeeze(0);
      const at::Tensor gate = at::linear(inputs, weights.gate_proj), up = at::linear(inputs, weights.up_proj);
      const at::Tensor silu = at::silu(gate), activations = silu * up;
      const at::Tensor gradients = at::mm(output_gradient.squeeze(0), weights.down_proj);
      visit({.window = window,
             .layer = layer.index(),
             .inputs = inputs,
             .activations = activations,
             .gradients = gradients});
      const at::Tensor gate_gradient = at::silu_backward(gradients * up, gate);
      ffn_input_gradient =
          at::mm(gate_gradient, weights.gate_proj).add_(at::mm(gradients * silu, weights.up_proj)).unsqueeze(0);
    }
    return gradient(input, {attended, ffn_input}, {output_gradient, ffn_input_gradient});
  }

  LlamaModel model_;
  at::Tensor final_norm_, head_;  // [D], [V, D]
};

at::Tensor kernel_of(const at::Tensor& values, ImportanceOptions::Kernel kernel) {
  return kernel == ImportanceOptions::Kernel::kL1Norm ? values.abs() : values.square();
}

}  // namespace

void for_each_neuron_gradient(const Checkpoint& checkpoint, const Precision& precision,
                              const std::vector<at::Tensor>& windows,
                              const std::function<void(const NeuronGradients&)>& visit,
                              const std::function<void(double fraction)>& progress) {
  const at::NoGradGuard no_grad;
  std::vector<int64_t> lengths;
  for (const at::Tensor& window : windows) {
    if (window.dim() != 1 || window.size(0) < 2) {
      throw std::invalid_argument("a window of one token has no next token to predict; gradients need longer windows");
    }
    lengths.push_back(window.size(0));
  }
  if (windows.empty()) return;
  const std::vector<at::Tensor> embedded =
      embed(checkpoint, at::cat(windows).unsqueeze(0), precision).squeeze(0).split_with_sizes(lengths);
  const BackwardModel model(checkpoint, precision);
  for (size_t window = 0; window < windows.size(); ++window) {
    model.run(windows[window], embedded[window], static_cast<int64_t>(window), visit);
    if (progress) progress(static_cast<double>(window + 1) / static_cast<double>(windows.size()));
  }
}

std::vector<at::Tensor> neuron_importance(const Checkpoint& checkpoint, const Precision& precision,
                                          const std::vector<at::Tensor>& clusters, const ImportanceOptions& options,
                                          const std::function<void(double fraction)>& progress) {
  std::vector<at::Tensor> windows;
  std::vector<int64_t> cluster_of;
  at::Tensor num_predictions = at::zeros({static_cast<int64_t>(clusters.size()), 1}, at::kDouble);
  for (size_t cluster = 0; cluster < clusters.size(); ++cluster) {
    const at::Tensor& ids = clusters[cluster];
    num_predictions[static_cast<int64_t>(cluster)] = ids.size(0) * (ids.size(1) - 1);
    for (const at::Tensor& window : ids.unbind(0)) {
      windows.push_back(window);
      cluster_of.push_back(static_cast<int64_t>(cluster));
    }
  }

  const LlamaConfig& config = checkpoint.config();
  const bool total = options.accumulate == ImportanceOptions::Accumulate::kTotal;
  const bool feature_change = options.quantity == ImportanceOptions::Quantity::kFeatureChange;
  // In double: the order of a cluster's windows must not show.
  const at::Tensor sums = at::zeros({config.num_layers, num_predictions.size(0), config.intermediate_size},
                                    at::TensorOptions().dtype(at::kDouble).device(precision.device));
  for_each_neuron_gradient(
      checkpoint, precision, windows,
      [&](const NeuronGradients& seen) {
        const at::Tensor gradients = seen.gradients.to(at::kFloat);
        const at::Tensor values = feature_change ? gradients * seen.activations : gradients;
        sums[seen.layer][cluster_of[seen.window]] +=
            (total ? values : kernel_of(values, options.kernel)).sum({0}, false, at::kDouble);
      },
      progress);
  const at::Tensor accumulated = total ? kernel_of(sums, options.kernel) : sums;
  return accumulated.to(at::kCPU).div(num_predictions).to(at::kFloat).unbind(0);
}

}  // namespace moebench
