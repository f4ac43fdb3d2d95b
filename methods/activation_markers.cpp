#include "methods/activation_markers.h"

#include <algorithm>
#include <numeric>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

namespace moebench {
namespace {

constexpr double kNormFloor = 1e-12;  // torch.nn.functional.normalize's eps

// Scores of so many tokens stay in a core's cache on their way to the marks.
constexpr int64_t kBlockTokens = 32;

at::Tensor row_norms(const at::Tensor& rows) { return rows.to(at::kFloat).norm(2, {1}).clamp_min_(kNormFloor); }

}  // namespace

MarkerMatrix::MarkerMatrix(std::span<const int32_t> marks, int64_t marks_per_token, int64_t num_neurons)
    : num_tokens_(static_cast<int64_t>(marks.size()) / marks_per_token),
      first_(num_neurons + 1),
      tokens_(marks.size()) {
  for (const int32_t neuron : marks) ++first_[neuron + 1];
  std::partial_sum(first_.begin(), first_.end(), first_.begin());
  std::vector<int64_t> next(first_.begin(), first_.end() - 1);
  for (size_t mark = 0; mark < marks.size(); ++mark) {
    tokens_[next[marks[mark]]++] = static_cast<int32_t>(mark / marks_per_token);
  }
}

std::span<const int32_t> MarkerMatrix::tokens(int64_t neuron) const {
  return std::span(tokens_).subspan(first_[neuron], count(neuron));
}

std::vector<int64_t> most_marked(const MarkerMatrix& markers, std::span<const int64_t> neurons, int64_t count) {
  std::vector<float> counts;
  for (const int64_t neuron : neurons) counts.push_back(static_cast<float>(markers.count(neuron)));
  const at::Tensor top = std::get<1>(at::tensor(counts).topk(count));
  std::vector<int64_t> chosen;
  for (int64_t rank = 0; rank < count; ++rank) chosen.push_back(neurons[top.const_data_ptr<int64_t>()[rank]]);
  return chosen;
}

std::vector<int64_t> other_neurons(std::span<const int64_t> taken, int64_t num_neurons) {
  std::vector<bool> is_taken(num_neurons);
  for (const int64_t neuron : taken) is_taken[neuron] = true;
  std::vector<int64_t> others;
  for (int64_t neuron = 0; neuron < num_neurons; ++neuron) {
    if (!is_taken[neuron]) others.push_back(neuron);
  }
  return others;
}

ActivationScore parse_activation_score(const std::string& option) {
  return option == "paper" ? ActivationScore::kPlain : ActivationScore::kNormalised;
}

ActivationMarkers::ActivationMarkers(const GatedMlpWeights& dense, ActivationScore score, int64_t top_activations)
    : score_(score),
      top_activations_(top_activations),
      num_neurons_(dense.gate_proj.size(0)),
      gate_norms_(row_norms(dense.gate_proj)),
      up_norms_(row_norms(dense.up_proj)) {}

at::Tensor ActivationMarkers::scores(const FfnChunk& chunk) const {
  if (score_ == ActivationScore::kPlain) return chunk.activations.to(at::kFloat).abs();
  const at::Tensor token_norms = row_norms(chunk.inputs).unsqueeze(1);
  const at::Tensor gate_cosines = chunk.gate.to(at::kFloat).div(gate_norms_).div_(token_norms);
  const at::Tensor up_cosines = chunk.up.to(at::kFloat).div(up_norms_).div_(token_norms);
  return at::silu(gate_cosines).mul_(up_cosines).abs_();
}

void ActivationMarkers::observe(const FfnChunk& chunk) {
  const int64_t num_tokens = chunk.inputs.size(0);
  const int64_t block = chunk.inputs.is_cpu() ? kBlockTokens : num_tokens;
  const at::Tensor top = at::empty({num_tokens, top_activations_}, at::kInt);
  at::parallel_for(0, num_tokens, block, [&](int64_t begin, int64_t end) {
    for (int64_t first = begin; first < end; first += block) {
      const int64_t size = std::min(block, end - first);
      const auto rows = [&](const at::Tensor& tensor) { return tensor.narrow(0, first, size); };
      const at::Tensor inputs = rows(chunk.inputs), gate = rows(chunk.gate), up = rows(chunk.up),
                       activations = rows(chunk.activations), residual = rows(chunk.residual);
      const FfnChunk part{inputs, gate, up, activations, residual, chunk.domain};
      rows(top).copy_(std::get<1>(scores(part).topk(top_activations_, 1)));
    }
  });
  marks_.insert(marks_.end(), top.const_data_ptr<int32_t>(), top.const_data_ptr<int32_t>() + top.numel());
}

MarkerMatrix ActivationMarkers::matrix() const { return MarkerMatrix(marks_, top_activations_, num_neurons_); }

}  // namespace moebench
