#include "harness/adjustment/layer_sensitivity.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <stdexcept>

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "harness/model/rms_norm.h"
#include "harness/model/weight.h"

namespace moebench {
namespace {

// B pieces, T tokens of each, D hidden_size, F neurons.

constexpr int64_t kTokens = 1024, kPieceTokens = 256;
constexpr double kDropped[] = {0.25, 0.5};
constexpr int64_t kNumDropped = std::size(kDropped);

// [B, T] int64: the first tokens of evenly spaced windows, short enough that every domain has a piece.
at::Tensor sample_pieces(const CalibrationText& text) {
  std::vector<at::Tensor> windows;
  for (const at::Tensor& domain : text.windows) {
    for (const at::Tensor& window : domain.unbind(0)) windows.push_back(window);
  }
  const int64_t share = std::max<int64_t>(1, kTokens / static_cast<int64_t>(text.windows.size()));
  const int64_t length = std::min({kPieceTokens, share, windows.front().size(0)});
  const int64_t num_windows = static_cast<int64_t>(windows.size());
  const int64_t num_pieces = std::min(kTokens / length, num_windows);
  std::vector<at::Tensor> pieces;
  for (int64_t piece = 0; piece < num_pieces; ++piece) {
    pieces.push_back(windows[piece * num_windows / num_pieces].narrow(0, 0, length));
  }
  return at::stack(pieces);
}

// What the layer leads to without each token's least neurons, for every share in kDropped. attended: [B, T, D].
std::vector<at::Tensor> pruned_streams(const LlamaLayer& layer, const at::Tensor& attended) {
  const GatedMlpWeights& dense = layer.dense_weights();
  const int64_t hidden_size = attended.size(2), num_neurons = dense.gate_proj.size(0);
  const at::Tensor inputs = layer.feed_forward_input(attended).view({-1, hidden_size});
  const at::Tensor activations = gated_activations(dense, inputs);
  const at::Tensor output = at::linear(activations, dense.down_proj);
  const at::Tensor deviations = activations - activations.mean(0);
  const at::Tensor additions = deviations.to(at::kFloat).abs() * dense.down_proj.to(at::kFloat).norm(2, {0});
  const at::Tensor order = additions.argsort(/*stable=*/true, 1);
  std::vector<at::Tensor> streams;
  for (const double share : kDropped) {
    const int64_t num_dropped = std::llround(share * static_cast<double>(num_neurons));
    const at::Tensor kept = deviations.scatter(1, order.narrow(1, 0, num_dropped), 0);
    const at::Tensor missing = at::linear(deviations - kept, dense.down_proj);
    streams.push_back(attended + (output - missing).view_as(attended));
  }
  return streams;
}

double movement_of(const at::Tensor& normed, const at::Tensor& dense_normed) {
  const at::Tensor dense = dense_normed.to(at::kFloat), difference = normed.to(at::kFloat) - dense;
  const at::Tensor relative = difference.square().sum(-1) / dense.square().sum(-1);
  const double movement = relative.mean(at::kDouble).item<double>();
  if (!std::isfinite(movement)) {
    throw std::runtime_error("budgets = measured: the model's hidden states on the calibration text are not finite");
  }
  return movement;
}

LayerSensitivity law_through(double first, double second) {
  if (!(second > 0)) return {};
  const double exponent =
      first > 0 ? std::max(1.0, std::log(second / first) / std::log(kDropped[1] / kDropped[0])) : 1.0;
  return {.scale = second / std::pow(kDropped[1], exponent), .exponent = exponent};
}

}  // namespace

double LayerSensitivity::movement(double dropped) const { return scale * std::pow(dropped, exponent); }

std::vector<LayerSensitivity> measure_sensitivity(const ConversionContext& context) {
  const at::NoGradGuard no_grad;
  const LlamaConfig& config = context.checkpoint.config();
  at::Tensor dense = embed(context.checkpoint, sample_pieces(*context.text), context.precision);
  std::vector<at::Tensor> pruned;  // kNumDropped streams a layer
  for (int64_t index = 0; index < config.num_layers; ++index) {
    const LlamaLayer layer = LlamaLayer::load(context.checkpoint, index, context.precision);
    for (at::Tensor& stream : pruned) stream = layer.forward(stream);
    for (const at::Tensor& stream : pruned_streams(layer, layer.attend(dense))) pruned.push_back(stream);
    dense = layer.forward(dense);
    // Every layer has more streams to run than the last.
    const double done = static_cast<double>(index + 1) / static_cast<double>(config.num_layers);
    if (context.progress) context.progress(done * done);
  }
  const at::Tensor norm = load_weight(context.checkpoint, "model.norm.weight", context.precision);
  const at::Tensor dense_normed = rms_norm(dense, norm, config.rms_norm_eps);
  std::vector<LayerSensitivity> sensitivities;
  for (size_t first = 0; first < pruned.size(); first += kNumDropped) {
    const auto movement = [&](size_t stream) {
      return movement_of(rms_norm(pruned[stream], norm, config.rms_norm_eps), dense_normed);
    };
    sensitivities.push_back(law_through(movement(first), movement(first + 1)));
  }
  return sensitivities;
}

}  // namespace moebench
