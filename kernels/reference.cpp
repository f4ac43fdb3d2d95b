#include "kernels/reference.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/bfloat16.h"

namespace moebench::kernels {
namespace {

using Doubles = std::vector<double>;

// Double, for products are of doubles.
double value_at(const void* values, int64_t index, Dtype dtype) { return element(values, index, dtype); }

double silu(double x) { return x / (1 + std::exp(-x)); }

Doubles softmax(Doubles values) {
  const double largest = *std::max_element(values.begin(), values.end());
  double sum = 0;
  for (double& value : values) sum += value = std::exp(value - largest);
  for (double& value : values) value /= sum;
  return values;
}

struct Choice {
  int32_t expert;
  double weight;
};

class ReferenceKernel : public MoeFfnKernel {
 public:
  explicit ReferenceKernel(const MoeFfn& network) : network_(network) { check_network(network); }

  void run(const MoeFfnCall& call) const override {
    check_call(network_, call);
    for (int64_t token = 0; token < call.num_tokens; ++token) run_token(call, token);
  }

 private:
  void run_token(const MoeFfnCall& call, int64_t token) const {
    const Doubles x = row(call.input, token, call.input_stride);
    const std::vector<Choice> choices = choices_of(call, token, x);
    Doubles y(network_.hidden_size);
    std::vector<bool> is_visited(network_.experts.size());
    if (network_.shared) visit(*network_.shared, x, 1, y);
    for (const Choice& choice : choices) is_visited[choice.expert] = true;
    for (const Choice& choice : choices) visit(network_.experts[choice.expert], x, choice.weight, y);
    for (size_t expert = 0; expert < network_.experts.size(); ++expert) {
      const void* bias = network_.experts[expert].absent_bias;
      if (is_visited[expert] || bias == nullptr) continue;
      for (int64_t i = 0; i < network_.hidden_size; ++i) y[i] += value_at(bias, i, network_.dtype);
    }
    for (int64_t i = 0; i < network_.hidden_size; ++i) store(call.output, token * call.output_stride + i, y[i]);
  }

  void visit(const GatedExpert& expert, const Doubles& x, double weight, Doubles& y) const {
    const Doubles gate = product(expert.gate, x), up = product(expert.up, x);
    Doubles h(gate.size());
    for (size_t neuron = 0; neuron < h.size(); ++neuron) h[neuron] = silu(gate[neuron]) * up[neuron];
    const Doubles output = product(expert.down, h);
    for (size_t i = 0; i < y.size(); ++i) {
      const double bias =
          expert.output_bias ? value_at(expert.output_bias, static_cast<int64_t>(i), network_.dtype) : 0;
      y[i] += weight * (output[i] + bias);
    }
  }

  std::vector<Choice> choices_of(const MoeFfnCall& call, int64_t token, const Doubles& x) const {
    std::vector<Choice> choices;
    if (network_.top_k == 0) return choices;
    int32_t* experts = call.experts ? call.experts + token * network_.top_k : nullptr;
    float* weights = call.weights ? call.weights + token * network_.top_k : nullptr;
    if (network_.router.kind == Router::Kind::kGiven) {
      for (int64_t choice = 0; choice < network_.top_k; ++choice) {
        if (experts[choice] >= 0) choices.push_back({experts[choice], weights[choice]});
      }
      return choices;
    }
    choices = choose(logits(x));
    for (int64_t choice = 0; choice < network_.top_k; ++choice) {
      if (experts) experts[choice] = choices[choice].expert;
      if (weights) weights[choice] = static_cast<float>(choices[choice].weight);
    }
    std::erase_if(choices, [](const Choice& choice) { return choice.expert < 0; });
    return choices;
  }

  Doubles logits(const Doubles& x) const {
    const Router& router = network_.router;
    Doubles scores = product(router.first, x);
    if (router.kind == Router::Kind::kQuadratic) {
      Doubles squares = x;
      for (double& square : squares) square *= square;
      const Doubles second = product(router.second, squares);
      for (size_t i = 0; i < scores.size(); ++i) scores[i] += second[i];
    }
    if (router.kind == Router::Kind::kGatedRows) {
      const Doubles up = product(router.second, x);
      for (size_t i = 0; i < scores.size(); ++i) scores[i] = std::abs(up[i] * silu(scores[i]));
    }
    if (router.kind == Router::Kind::kTanhMlp) {
      for (double& score : scores) score = std::tanh(score);
      scores = product(router.second, scores);
    }
    for (size_t i = 0; router.bias && i < scores.size(); ++i) {
      scores[i] += value_at(router.bias, static_cast<int64_t>(i), network_.dtype);
    }
    return scores;
  }

  // [K]; -1 - expert where not visited.
  std::vector<Choice> choose(const Doubles& logits) const {
    const RoutingRule& rule = network_.rule;
    const Doubles p = softmax(logits);
    const Doubles& scores = rule.softmax == RoutingRule::Softmax::kBeforeTopK ? p : logits;
    // Not-a-number first, then the larger score, then the lower index.
    const auto comes_before = [&](int32_t a, int32_t b) {
      const double bias_a = rule.selection_bias.empty() ? 0 : rule.selection_bias[a];
      const double bias_b = rule.selection_bias.empty() ? 0 : rule.selection_bias[b];
      const double score_a = scores[a] + bias_a, score_b = scores[b] + bias_b;
      if (std::isnan(score_a) || std::isnan(score_b)) return std::isnan(score_a) && !std::isnan(score_b);
      return score_a > score_b;
    };
    std::vector<int32_t> order(logits.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), comes_before);

    std::vector<Choice> choices;
    double mass_before = 0, sum = 0;
    for (int64_t choice = 0; choice < network_.top_k; ++choice) {
      const int32_t expert = order[choice];
      bool is_visited = true;
      if (choice > 0 && rule.visits == RoutingRule::Visits::kCumulativeMass) is_visited = mass_before < rule.level;
      if (choice > 0 && rule.visits == RoutingRule::Visits::kThreshold) {
        is_visited = p[expert] >= p[order[0]] * rule.level;
      }
      mass_before += p[expert];
      choices.push_back({is_visited ? expert : -1 - expert, is_visited ? scores[expert] : 0});
      if (is_visited) sum += std::exp(logits[expert] - logits[order[0]]);
    }
    for (Choice& choice : choices) {
      if (choice.expert >= 0) choice.weight = weight(choice, logits, logits[order[0]], sum);
    }
    return choices;
  }

  double weight(const Choice& choice, const Doubles& logits, double shift, double sum) const {
    const RoutingRule& rule = network_.rule;
    double score = choice.weight;
    if (rule.softmax == RoutingRule::Softmax::kAfterTopK) score = std::exp(logits[choice.expert] - shift) / sum;
    switch (rule.weights) {
      case RoutingRule::Weights::kUnit:
        return rule.scale;
      case RoutingRule::Weights::kScores:
        return score * rule.scale;
      case RoutingRule::Weights::kOnePlusScaledScores:
        break;
    }
    return (rule.expert_scale.empty() ? 1 : 1 + score * rule.expert_scale[choice.expert]) * rule.scale;
  }

  Doubles row(const void* values, int64_t index, int64_t stride) const {
    Doubles result(network_.hidden_size);
    for (int64_t i = 0; i < network_.hidden_size; ++i) result[i] = value_at(values, index * stride + i, network_.dtype);
    return result;
  }

  Doubles product(const Matrix& matrix, const Doubles& x) const {
    Doubles result(matrix.rows);
    for (int64_t row = 0; row < matrix.rows; ++row) {
      for (int64_t column = 0; column < matrix.columns; ++column) {
        result[row] += value_at(matrix.data, row * matrix.row_stride + column, network_.dtype) * x[column];
      }
    }
    return result;
  }

  void store(void* values, int64_t index, double value) const {
    if (network_.dtype == Dtype::kFloat32) {
      static_cast<float*>(values)[index] = static_cast<float>(value);
    } else {
      static_cast<uint16_t*>(values)[index] = bfloat16_of(static_cast<float>(value));
    }
  }

  const MoeFfn network_;
};

}  // namespace

std::unique_ptr<MoeFfnKernel> make_reference(const MoeFfn& network) {
  return std::make_unique<ReferenceKernel>(network);
}

}  // namespace moebench::kernels
