#include "tests/model/masked_moe.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include <ATen/ATen.h>

namespace moebench {
namespace {

using Vector = std::vector<double>;

Vector to_vector(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.to(at::kDouble).contiguous().flatten();
  return {flat.const_data_ptr<double>(), flat.const_data_ptr<double>() + flat.numel()};
}

Vector multiply(const at::Tensor& matrix, const Vector& x) {
  const Vector values = to_vector(matrix);
  Vector y(matrix.size(0));
  for (size_t row = 0; row < y.size(); ++row) {
    for (size_t column = 0; column < x.size(); ++column) y[row] += values[row * x.size() + column] * x[column];
  }
  return y;
}

double silu(double z) { return z / (1 + std::exp(-z)); }

void softmax(Vector& values) {
  const double largest = *std::max_element(values.begin(), values.end());
  double sum = 0;
  for (double& value : values) sum += value = std::exp(value - largest);
  for (double& value : values) value /= sum;
}

void keep_largest(Vector& h, size_t count) {
  Vector sizes;
  for (const double value : h) sizes.push_back(std::abs(value));
  std::sort(sizes.begin(), sizes.end(), std::greater<>());
  for (double& value : h) value = std::abs(value) >= sizes[count - 1] ? value : 0;
}

Vector expert_output(const GatedMlpWeights& dense, const ExpertSpec& expert, const Vector& x) {
  const Vector gate = multiply(dense.gate_proj, x), up = multiply(dense.up_proj, x);
  const Vector neurons = to_vector(expert.neurons);
  const at::Tensor down = expert.down_proj ? *expert.down_proj : dense.down_proj.index_select(1, expert.neurons);
  Vector h;
  for (const double neuron : neurons) h.push_back(silu(gate[neuron]) * up[neuron]);
  if (expert.top_neurons > 0) keep_largest(h, expert.top_neurons);
  Vector y = multiply(down, h);
  if (!expert.output_bias) return y;
  const Vector bias = to_vector(*expert.output_bias);
  for (size_t i = 0; i < y.size(); ++i) y[i] += bias[i];
  return y;
}

Vector logits(const RouterSpec& router, const std::vector<Vector>& outputs, const Vector& x) {
  Vector result;
  if (router.kind == RouterKind::kLinear) {
    result = multiply(router.tensors.at("weight"), x);
    if (router.tensors.contains("bias")) {
      const Vector bias = to_vector(router.tensors.at("bias"));
      for (size_t expert = 0; expert < result.size(); ++expert) result[expert] += bias[expert];
    }
  } else if (router.kind == RouterKind::kQuadratic) {
    Vector squares = x;
    for (double& value : squares) value *= value;
    const Vector linear = multiply(router.tensors.at("weight"), x);
    result = multiply(router.tensors.at("square"), squares);
    const Vector bias = to_vector(router.tensors.at("bias"));
    for (size_t expert = 0; expert < result.size(); ++expert) result[expert] += linear[expert] + bias[expert];
  } else if (router.kind == RouterKind::kGatedRows) {
    const Vector gate = multiply(router.tensors.at("gate"), x);
    result = multiply(router.tensors.at("up"), x);
    for (size_t expert = 0; expert < result.size(); ++expert)
      result[expert] = std::abs(result[expert] * silu(gate[expert]));
  } else if (router.kind == RouterKind::kTanhMlp) {
    Vector inner = multiply(router.tensors.at("first"), x);
    for (double& value : inner) value = std::tanh(value);
    result = multiply(router.tensors.at("second"), inner);
  } else {
    for (const Vector& y : outputs) result.push_back(std::sqrt(std::inner_product(y.begin(), y.end(), y.begin(), 0.0)));
  }
  return result;
}

// How many of the experts in order an adaptive rule visits.
size_t num_visited(const RoutingRule& rule, const std::vector<size_t>& order, const Vector& probabilities) {
  size_t visited = 1;
  double mass = probabilities[order[0]];
  for (; visited < order.size(); ++visited) {
    const double p = probabilities[order[visited]];
    if (rule.visits == RoutingRule::Visits::kCumulativeMass && mass >= rule.level) break;
    if (rule.visits == RoutingRule::Visits::kThreshold && p < rule.level * probabilities[order[0]]) break;
    mass += p;
  }
  return visited;
}

// The weight of every expert, 0 where it is not chosen; chosen tells which.
Vector routing_weights(const LayerConversion& conversion, Vector scores, std::vector<bool>& chosen) {
  const RoutingRule& rule = conversion.rule;
  Vector choosing = scores, probabilities = scores;
  softmax(probabilities);
  if (rule.softmax == RoutingRule::Softmax::kBeforeTopK) softmax(scores);
  if (conversion.router.kind != RouterKind::kOracle) {
    choosing = scores;
    if (rule.selection_bias) {
      const Vector bias = to_vector(*rule.selection_bias);
      for (size_t expert = 0; expert < scores.size(); ++expert) choosing[expert] += bias[expert];
    }
  }
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return choosing[a] > choosing[b]; });
  order.resize(conversion.top_k);
  order.resize(num_visited(rule, order, probabilities));
  Vector chosen_scores;
  for (const size_t expert : order) chosen_scores.push_back(scores[expert]);
  if (rule.softmax == RoutingRule::Softmax::kAfterTopK) softmax(chosen_scores);

  Vector weights(scores.size());
  chosen.assign(scores.size(), false);
  for (size_t rank = 0; rank < order.size(); ++rank) {
    double weight = 1;
    if (rule.weights == RoutingRule::Weights::kScores) weight = chosen_scores[rank];
    if (rule.weights == RoutingRule::Weights::kOnePlusScaledScores && rule.expert_scale) {
      weight += chosen_scores[rank] * to_vector(*rule.expert_scale)[order[rank]];
    }
    weights[order[rank]] = weight * rule.scale;
    chosen[order[rank]] = true;
  }
  return weights;
}

Vector token_output(const GatedMlpWeights& dense, const LayerConversion& conversion, const Vector& x) {
  std::vector<Vector> outputs;
  for (const ExpertSpec& expert : conversion.experts) outputs.push_back(expert_output(dense, expert, x));
  Vector y = conversion.shared ? expert_output(dense, *conversion.shared, x) : Vector(x.size());
  if (outputs.empty()) return y;
  std::vector<bool> chosen;
  const Vector weights = routing_weights(conversion, logits(conversion.router, outputs, x), chosen);
  for (size_t expert = 0; expert < outputs.size(); ++expert) {
    const auto& absent_bias = conversion.experts[expert].absent_bias;
    const Vector absent = absent_bias ? to_vector(*absent_bias) : Vector(x.size());
    for (size_t i = 0; i < y.size(); ++i) y[i] += chosen[expert] ? weights[expert] * outputs[expert][i] : absent[i];
  }
  return y;
}

}  // namespace

at::Tensor masked_moe(const GatedMlpWeights& dense, const LayerConversion& conversion, const at::Tensor& hidden) {
  std::vector<at::Tensor> rows;
  for (int64_t token = 0; token < hidden.size(0); ++token) {
    rows.push_back(at::tensor(token_output(dense, conversion, to_vector(hidden[token])), at::kDouble));
  }
  return at::stack(rows);
}

}  // namespace moebench
