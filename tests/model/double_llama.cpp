#include "tests/model/double_llama.h"

#include <cmath>
#include <numbers>
#include <string>

#include <ATen/ATen.h>

namespace moebench {
namespace {

using Matrix = std::vector<Vector>;

Vector load_vector(const Checkpoint& checkpoint, const std::string& name) {
  const at::Tensor tensor = checkpoint.load(name, at::kDouble);
  return Vector(tensor.data_ptr<double>(), tensor.data_ptr<double>() + tensor.numel());
}

Matrix load_matrix(const Checkpoint& checkpoint, const std::string& name) {
  const at::Tensor tensor = checkpoint.load(name, at::kDouble);
  Matrix rows;
  for (int64_t row = 0; row < tensor.size(0); ++row) {
    const double* start = tensor.data_ptr<double>() + row * tensor.size(1);
    rows.emplace_back(start, start + tensor.size(1));
  }
  return rows;
}

double dot(const Vector& a, const Vector& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

Vector times(const Matrix& matrix, const Vector& vector) {
  Vector result;
  for (const Vector& row : matrix) result.push_back(dot(row, vector));
  return result;
}

Vector plus(Vector a, const Vector& b) {
  for (size_t i = 0; i < a.size(); ++i) a[i] += b[i];
  return a;
}

Vector norm(const Vector& input, const Vector& weight, double eps) {
  const double scale = 1 / std::sqrt(dot(input, input) / input.size() + eps);
  Vector result;
  for (size_t i = 0; i < input.size(); ++i) result.push_back(weight[i] * input[i] * scale);
  return result;
}

// Llama 3.1's published rule: wavelengths above original / low_freq_factor are stretched, those below original /
// high_freq_factor are kept, those between mix the two linearly in original / wavelength.
double frequency(const LlamaConfig& config, int64_t pair) {
  const double plain = std::pow(config.rope_theta, -2.0 * pair / config.head_dim);
  if (!config.rope_scaling) return plain;
  const RopeScaling& scaling = *config.rope_scaling;
  const double turns = scaling.original_max_position_embeddings * plain / (2 * std::numbers::pi);
  if (turns < scaling.low_freq_factor) return plain / scaling.factor;
  if (turns > scaling.high_freq_factor) return plain;
  const double kept = (turns - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor);
  return (1 - kept) * plain / scaling.factor + kept * plain;
}

Vector rotate(const Vector& head, int64_t position, const LlamaConfig& config) {
  Vector result(head.size());
  const int64_t half = config.head_dim / 2;
  for (int64_t pair = 0; pair < half; ++pair) {
    const double angle = position * frequency(config, pair);
    result[pair] = head[pair] * std::cos(angle) - head[pair + half] * std::sin(angle);
    result[pair + half] = head[pair + half] * std::cos(angle) + head[pair] * std::sin(angle);
  }
  return result;
}

// Projects each token and cuts the result into heads: [token][head][head_dim].
std::vector<Matrix> heads(const Checkpoint& checkpoint, const std::string& name, const Matrix& inputs) {
  const LlamaConfig& config = checkpoint.config();
  const Matrix weight = load_matrix(checkpoint, name + ".weight");
  std::vector<Matrix> result;
  for (const Vector& input : inputs) {
    Vector projected = times(weight, input);
    if (config.attention_bias) projected = plus(projected, load_vector(checkpoint, name + ".bias"));
    Matrix& token = result.emplace_back();
    for (size_t start = 0; start < projected.size(); start += config.head_dim) {
      token.emplace_back(projected.begin() + start, projected.begin() + start + config.head_dim);
    }
  }
  return result;
}

void norm_and_rotate(std::vector<Matrix>& tokens, const Checkpoint& checkpoint, const std::string& norm_name) {
  const LlamaConfig& config = checkpoint.config();
  for (size_t position = 0; position < tokens.size(); ++position) {
    for (Vector& head : tokens[position]) {
      if (config.qk_norm) head = norm(head, load_vector(checkpoint, norm_name), config.rms_norm_eps);
      head = rotate(head, position, config);
    }
  }
}

Vector attend(const Vector& query, const std::vector<Matrix>& keys, const std::vector<Matrix>& values, size_t group,
              size_t first, size_t last) {
  double total = 0;
  Vector result(query.size(), 0);
  for (size_t position = first; position <= last; ++position) {
    const double weight = std::exp(dot(query, keys[position][group]) / std::sqrt(query.size()));
    total += weight;
    for (size_t i = 0; i < result.size(); ++i) result[i] += weight * values[position][group][i];
  }
  for (double& value : result) value /= total;
  return result;
}

Matrix attention(const Checkpoint& checkpoint, const std::string& prefix, const Matrix& inputs) {
  const LlamaConfig& config = checkpoint.config();
  std::vector<Matrix> queries = heads(checkpoint, prefix + "q_proj", inputs);
  std::vector<Matrix> keys = heads(checkpoint, prefix + "k_proj", inputs);
  const std::vector<Matrix> values = heads(checkpoint, prefix + "v_proj", inputs);
  norm_and_rotate(queries, checkpoint, prefix + "q_norm.weight");
  norm_and_rotate(keys, checkpoint, prefix + "k_norm.weight");
  const Matrix output = load_matrix(checkpoint, prefix + "o_proj.weight");
  const int64_t queries_per_key = config.num_attention_heads / config.num_key_value_heads;
  Matrix result;
  for (int64_t position = 0; position < static_cast<int64_t>(inputs.size()); ++position) {
    const int64_t first = config.sliding_window ? std::max<int64_t>(0, position - *config.sliding_window + 1) : 0;
    Vector joined;
    for (int64_t head = 0; head < config.num_attention_heads; ++head) {
      const Vector attended = attend(queries[position][head], keys, values, head / queries_per_key, first, position);
      joined.insert(joined.end(), attended.begin(), attended.end());
    }
    result.push_back(times(output, joined));
  }
  return result;
}

Matrix feed_forward(const Checkpoint& checkpoint, const std::string& prefix, const Matrix& inputs) {
  const Matrix gate = load_matrix(checkpoint, prefix + "gate_proj.weight");
  const Matrix up = load_matrix(checkpoint, prefix + "up_proj.weight");
  const Matrix down = load_matrix(checkpoint, prefix + "down_proj.weight");
  Matrix result;
  for (const Vector& input : inputs) {
    Vector activations;
    for (size_t neuron = 0; neuron < gate.size(); ++neuron) {
      const double gated = dot(gate[neuron], input);
      activations.push_back(gated / (1 + std::exp(-gated)) * dot(up[neuron], input));
    }
    result.push_back(times(down, activations));
  }
  return result;
}

Matrix norms(const Checkpoint& checkpoint, const std::string& name, const Matrix& inputs) {
  const Vector weight = load_vector(checkpoint, name);
  Matrix result;
  for (const Vector& input : inputs) result.push_back(norm(input, weight, checkpoint.config().rms_norm_eps));
  return result;
}

}  // namespace

std::vector<Vector> double_llama_logits(const Checkpoint& checkpoint, const std::vector<int64_t>& ids) {
  const LlamaConfig& config = checkpoint.config();
  const Matrix embedding = load_matrix(checkpoint, "model.embed_tokens.weight");
  Matrix residual;
  for (const int64_t id : ids) residual.push_back(embedding[id]);
  for (int64_t layer = 0; layer < config.num_layers; ++layer) {
    const std::string prefix = "model.layers." + std::to_string(layer) + ".";
    const Matrix attended =
        attention(checkpoint, prefix + "self_attn.", norms(checkpoint, prefix + "input_layernorm.weight", residual));
    for (size_t token = 0; token < ids.size(); ++token) residual[token] = plus(residual[token], attended[token]);
    const Matrix fed = feed_forward(checkpoint, prefix + "mlp.",
                                    norms(checkpoint, prefix + "post_attention_layernorm.weight", residual));
    for (size_t token = 0; token < ids.size(); ++token) residual[token] = plus(residual[token], fed[token]);
  }
  const Matrix head = config.tie_word_embeddings ? embedding : load_matrix(checkpoint, "lm_head.weight");
  Matrix logits;
  for (const Vector& hidden : norms(checkpoint, "model.norm.weight", residual)) logits.push_back(times(head, hidden));
  return logits;
}

}  // namespace moebench
