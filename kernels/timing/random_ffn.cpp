#include "kernels/timing/random_ffn.h"

#include <cmath>
#include <cstring>
#include <stdexcept>

#include "kernels/bfloat16.h"

namespace moebench::kernels {
namespace {

// splitmix64: a stream of its own for every element, so that rows are filled in any order.
uint64_t mixed(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

// The sum of four uniform ones, of variance 1.
float normal_like(uint64_t bits) {
  float sum = 0;
  for (int part = 0; part < 4; ++part, bits >>= 16) sum += static_cast<float>(bits & 0xffff) / 65536.0f - 0.5f;
  return sum * 1.7320508f;
}

}  // namespace

const std::vector<FfnShape>& known_ffn_shapes() {
  static const std::vector<FfnShape> shapes = {{"smollm2-135m", 576, 1536, 30},
                                               {"tinyllama-1.1b", 2048, 5632, 22},
                                               {"llama-3.2-1b", 2048, 8192, 16},
                                               {"llama-2-7b", 4096, 11008, 32},
                                               {"llama-3-8b", 4096, 14336, 32}};
  return shapes;
}

const FfnShape& ffn_shape(const std::string& name) {
  std::string known;
  for (const FfnShape& shape : known_ffn_shapes()) {
    if (shape.name == name) return shape;
    known += (known.empty() ? "" : " ") + shape.name;
  }
  throw std::invalid_argument("unknown shape '" + name + "'; known: " + known);
}

RandomMatrix::RandomMatrix(int64_t rows, int64_t columns, Dtype dtype, uint64_t seed)
    : rows_(rows), columns_(columns), memory_(rows * columns * element_size(dtype)) {
  const float deviation = 1 / std::sqrt(static_cast<float>(columns));
#pragma omp parallel for
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t i = row * columns; i < (row + 1) * columns; ++i) {
      const float value = deviation * normal_like(mixed(seed * 0x100000001b3 + static_cast<uint64_t>(i)));
      if (dtype == Dtype::kFloat32) {
        reinterpret_cast<float*>(memory_.data())[i] = value;
      } else {
        reinterpret_cast<uint16_t*>(memory_.data())[i] = bfloat16_of(value);
      }
    }
  }
}

const char* name_of(RoutingPattern pattern) {
  switch (pattern) {
    case RoutingPattern::kBalanced:
      return "balanced";
    case RoutingPattern::kSkewed:
      return "skewed";
    case RoutingPattern::kOne:
      break;
  }
  return "one";
}

GatedExpert RandomFfn::add_expert(const FfnShape& shape, int64_t width, uint64_t seed) {
  const auto add = [&](int64_t rows, int64_t columns) {
    return matrices_.emplace_back(rows, columns, network_.dtype, seed++).view();
  };
  return {.gate = add(width, shape.hidden_size),
          .up = add(width, shape.hidden_size),
          .down = add(shape.hidden_size, width)};
}

RandomFfn::RandomFfn(const FfnShape& shape, Dtype dtype, uint64_t seed) {
  network_ = {.dtype = dtype, .hidden_size = shape.hidden_size};
  network_.shared = add_expert(shape, shape.intermediate_size, 1000 * seed);
}

RandomFfn::RandomFfn(const FfnShape& shape, int64_t num_experts, RoutingPattern pattern, Dtype dtype, uint64_t seed) {
  if (num_experts < 1 || shape.intermediate_size % num_experts != 0) {
    throw std::invalid_argument(shape.name + ": " + std::to_string(shape.intermediate_size) + " neurons are not " +
                                std::to_string(num_experts) + " equal experts");
  }
  network_ = {.dtype = dtype, .hidden_size = shape.hidden_size};
  for (int64_t expert = 0; expert < num_experts; ++expert) {
    network_.experts.push_back(add_expert(shape, shape.intermediate_size / num_experts, 1000 * seed + 3 * expert));
  }
  network_.router = {.kind = Router::Kind::kLinear,
                     .first = matrices_.emplace_back(num_experts, shape.hidden_size, dtype, 1000 * seed + 999).view()};
  network_.rule = {.softmax = RoutingRule::Softmax::kBeforeTopK, .weights = RoutingRule::Weights::kScores};
  for (int64_t expert = 0; expert < num_experts; ++expert) {
    // Added to a probability: small where it shall only lean, beyond 1 where it shall decide.
    const auto rank = static_cast<float>(expert + 1);
    const float lean = pattern == RoutingPattern::kSkewed ? 2 / (rank * static_cast<float>(num_experts)) : -2 * rank;
    if (pattern != RoutingPattern::kBalanced) network_.rule.selection_bias.push_back(lean);
  }
}

MoeFfn RandomFfn::network(int64_t top_k) const {
  MoeFfn network = network_;
  network.top_k = top_k;
  return network;
}

}  // namespace moebench::kernels
