#include "harness/model/rotary_embedding.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

namespace moebench {
namespace {

// transformers modeling_rope_utils, _compute_llama3_parameters: long wavelengths are stretched by factor, short ones
// kept, those between interpolated.
float scaled_frequency(float frequency, const RopeScaling& scaling) {
  const double wavelength = 2 * std::numbers::pi / frequency;
  const double longest_kept = scaling.original_max_position_embeddings / scaling.high_freq_factor;
  const double shortest_stretched = scaling.original_max_position_embeddings / scaling.low_freq_factor;
  if (wavelength < longest_kept) return frequency;
  if (wavelength > shortest_stretched) return static_cast<float>(frequency / scaling.factor);
  const double smooth = (scaling.original_max_position_embeddings / wavelength - scaling.low_freq_factor) /
                        (scaling.high_freq_factor - scaling.low_freq_factor);
  return static_cast<float>((1 - smooth) * frequency / scaling.factor + smooth * frequency);
}

// cosine, sine: [T, head_dim / 2].
at::Tensor turned(const at::Tensor& heads, const at::Tensor& cosine, const at::Tensor& sine) {
  const std::vector<at::Tensor> halves = heads.to(at::kFloat).chunk(2, -1);
  return at::cat({halves[0] * cosine - halves[1] * sine, halves[1] * cosine + halves[0] * sine}, -1)
      .to(heads.scalar_type());
}

}  // namespace

at::Tensor rotary_frequencies(const LlamaConfig& config) {
  const int64_t num_pairs = config.head_dim / 2;
  at::Tensor frequencies = at::empty({num_pairs}, at::kFloat);
  for (int64_t pair = 0; pair < num_pairs; ++pair) {
    float frequency = static_cast<float>(std::pow(config.rope_theta, -2.0 * pair / config.head_dim));
    if (config.rope_scaling) frequency = scaled_frequency(frequency, *config.rope_scaling);
    frequencies.data_ptr<float>()[pair] = frequency;
  }
  return frequencies;
}

RotaryEmbedding::RotaryEmbedding(const LlamaConfig& config, at::Device device)
    : max_positions_(config.max_position_embeddings), frequencies_(rotary_frequencies(config).to(device)) {}

RotaryEmbedding::Table RotaryEmbedding::table_up_to(int64_t length) const {
  if (length > max_positions_) {
    throw std::invalid_argument("a text of " + std::to_string(length) + " tokens is longer than the model's " +
                                std::to_string(max_positions_) + " (max_position_embeddings); shorten it or use a " +
                                "smaller window");
  }
  const std::lock_guard lock(mutex_);
  const c10::InferenceMode not_inference(false);  // a later pass with gradients uses the same table
  if (!table_.cosine.defined() || table_.cosine.size(0) < length) {
    const at::Tensor positions = at::arange(std::min(max_positions_, 2 * length), frequencies_.options());
    const at::Tensor angles = at::outer(positions, frequencies_);
    table_ = {angles.cos(), angles.sin()};
  }
  return table_;
}

at::Tensor RotaryEmbedding::rotate(const at::Tensor& heads, int64_t first_position) const {
  const int64_t num_tokens = heads.size(2);
  const Table table = table_up_to(first_position + num_tokens);
  return turned(heads, table.cosine.narrow(0, first_position, num_tokens),
                table.sine.narrow(0, first_position, num_tokens));
}

at::Tensor RotaryEmbedding::rotate(const at::Tensor& heads, const at::Tensor& positions) const {
  const Table table = table_up_to(positions.max().item<int64_t>() + 1);
  return turned(heads, table.cosine.index_select(0, positions), table.sine.index_select(0, positions));
}

}  // namespace moebench
