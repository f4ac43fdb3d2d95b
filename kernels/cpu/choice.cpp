#include "kernels/cpu/choice.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace moebench::kernels {
namespace {

// Integers in the order of the floats: equal ones equal (so both zeros), not-a-number the largest.
int32_t sort_key(float value) {
  if (std::isnan(value)) return std::numeric_limits<int32_t>::max();
  const int32_t bits = std::bit_cast<int32_t>(value + 0.0f);
  return bits < 0 ? bits ^ 0x7fffffff : bits;
}

}  // namespace

ExpertChooser::ExpertChooser(const RoutingRule& rule, int64_t num_experts, int64_t top_k,
                             const InstructionSet& instruction_set)
    : rule_(rule),
      num_experts_(num_experts),
      top_k_(top_k),
      instruction_set_(instruction_set),
      logits_((num_experts + kPanelColumns - 1) / kPanelColumns * kPanelColumns),
      probabilities_(logits_.size()),
      keys_(num_experts),
      ranks_(num_experts) {}

const float* ExpertChooser::probabilities(const float* logits) {
  std::copy_n(logits, num_experts_, logits_.begin());
  const float largest = *std::max_element(logits, logits + num_experts_);
  instruction_set_.exponentials(logits_.data(), largest, static_cast<int64_t>(logits_.size()), probabilities_.data());
  float sum = 0;
  for (int64_t expert = 0; expert < num_experts_; ++expert) sum += probabilities_[expert];
  for (int64_t expert = 0; expert < num_experts_; ++expert) probabilities_[expert] /= sum;
  return probabilities_.data();
}

void ExpertChooser::order(const float* scores, int32_t* experts) {
  for (int64_t expert = 0; expert < num_experts_; ++expert) {
    keys_[expert] =
        sort_key(rule_.selection_bias.empty() ? scores[expert] : scores[expert] + rule_.selection_bias[expert]);
  }
  instruction_set_.rank(keys_.data(), num_experts_, ranks_.data());
  for (int64_t expert = 0; expert < num_experts_; ++expert) {
    if (ranks_[expert] < top_k_) experts[ranks_[expert]] = static_cast<int32_t>(expert);
  }
}

// Of a token's experts at least the first is visited.
void ExpertChooser::leave_unvisited(const float* probabilities, int32_t* experts) const {
  const float best = probabilities[experts[0]];
  float mass_before = best;
  for (int64_t choice = 1; choice < top_k_; ++choice) {
    const float probability = probabilities[experts[choice]];
    const bool is_visited = rule_.visits == RoutingRule::Visits::kCumulativeMass ? mass_before < rule_.level
                                                                                 : probability >= best * rule_.level;
    mass_before += probability;
    if (!is_visited) experts[choice] = -1 - experts[choice];
  }
}

void ExpertChooser::choose(const float* logits, int32_t* experts, float* weights) {
  using enum RoutingRule::Softmax;
  const bool is_adaptive = rule_.visits != RoutingRule::Visits::kTopK;
  const float* p = rule_.softmax == kBeforeTopK || is_adaptive ? probabilities(logits) : nullptr;
  const float* scores = rule_.softmax == kBeforeTopK ? p : logits;
  order(scores, experts);
  if (is_adaptive) leave_unvisited(p, experts);

  const auto is_visited = [&](int64_t choice) { return experts[choice] >= 0; };
  for (int64_t choice = 0; choice < top_k_; ++choice)
    weights[choice] = is_visited(choice) ? scores[experts[choice]] : 0;
  if (rule_.softmax == kAfterTopK) {
    float largest = weights[0], sum = 0;
    for (int64_t choice = 1; choice < top_k_; ++choice) {
      if (is_visited(choice)) largest = std::max(largest, weights[choice]);
    }
    for (int64_t choice = 0; choice < top_k_; ++choice) {
      if (is_visited(choice)) sum += weights[choice] = std::exp(weights[choice] - largest);
    }
    for (int64_t choice = 0; choice < top_k_; ++choice) weights[choice] /= sum;
  }
  for (int64_t choice = 0; choice < top_k_; ++choice) {
    if (!is_visited(choice)) {
      weights[choice] = 0;
      continue;
    }
    using enum RoutingRule::Weights;
    if (rule_.weights == kUnit) weights[choice] = 1;
    if (rule_.weights == kOnePlusScaledScores) {
      weights[choice] = rule_.expert_scale.empty() ? 1 : 1 + weights[choice] * rule_.expert_scale[experts[choice]];
    }
    weights[choice] *= rule_.scale;
  }
}

}  // namespace moebench::kernels
