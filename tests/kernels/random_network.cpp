#include "tests/kernels/random_network.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/bfloat16.h"

namespace moebench::kernels {

RandomNetwork::RandomNetwork(const RandomNetworkShape& shape, uint32_t seed) : generator_(seed) {
  network.dtype = shape.dtype;
  network.hidden_size = shape.hidden_size;
  network.top_k = shape.top_k;
  for (const int64_t width : shape.widths) network.experts.push_back(expert(width, shape));
  if (shape.shared_width > 0) {
    network.shared = expert(shape.shared_width, shape);
    network.shared->absent_bias = nullptr;
  }
  const auto num_experts = static_cast<int64_t>(shape.widths.size());
  network.router.kind = shape.router;
  if (shape.router == Router::Kind::kGiven) return;
  network.router.first = matrix(num_experts, shape.hidden_size);
  network.router.second = matrix(num_experts, shape.router == Router::Kind::kTanhMlp ? num_experts : shape.hidden_size);
  if (shape.router == Router::Kind::kLinear || shape.router == Router::Kind::kQuadratic) {
    network.router.bias = vector(num_experts);
  }
}

std::vector<char> RandomNetwork::inputs(int64_t num_tokens, int64_t stride) {
  std::vector<char> values(num_tokens * stride * element_size(network.dtype));
  std::normal_distribution<float> normal;
  for (int64_t i = 0; i < num_tokens * stride; ++i) {
    set(values, i, i % stride < network.hidden_size ? normal(generator_) : std::numeric_limits<float>::quiet_NaN());
  }
  return values;
}

float RandomNetwork::value(const std::vector<char>& values, int64_t index) const {
  if (network.dtype == Dtype::kFloat32) return reinterpret_cast<const float*>(values.data())[index];
  return float_of(reinterpret_cast<const uint16_t*>(values.data())[index]);
}

void RandomNetwork::set(std::vector<char>& values, int64_t index, float value) const {
  if (network.dtype == Dtype::kFloat32) {
    reinterpret_cast<float*>(values.data())[index] = value;
  } else {
    reinterpret_cast<uint16_t*>(values.data())[index] = bfloat16_of(value);
  }
}

Matrix RandomNetwork::matrix(int64_t rows, int64_t columns) {
  const int64_t stride = columns + 3;
  std::vector<char>& values = memory_.emplace_back(rows * stride * element_size(network.dtype));
  std::normal_distribution<float> normal(0, 1 / std::sqrt(static_cast<float>(columns)));
  for (int64_t i = 0; i < rows * stride; ++i) {
    set(values, i, i % stride < columns ? normal(generator_) : std::numeric_limits<float>::quiet_NaN());
  }
  return {values.data(), rows, columns, stride};
}

const void* RandomNetwork::vector(int64_t size) { return matrix(1, size).data; }

GatedExpert RandomNetwork::expert(int64_t width, const RandomNetworkShape& shape) {
  GatedExpert expert{.gate = matrix(width, shape.hidden_size),
                     .up = matrix(width, shape.hidden_size),
                     .down = matrix(shape.hidden_size, width)};
  if (shape.has_output_biases) expert.output_bias = vector(shape.hidden_size);
  if (shape.has_absent_biases) expert.absent_bias = vector(shape.hidden_size);
  return expert;
}

}  // namespace moebench::kernels
