// What routing does only while it is trained: noise, dense mixing, balance. T tokens, D hidden_size, E routed experts,
// K top_k.
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include "harness/conversion.h"
#include "harness/model/router.h"
#include "harness/retrain_stage.h"

namespace moebench {

struct NoisyLogits {
  at::Tensor clean, noisy;      // [T, E] fp32; the same tensor without noise
  at::Tensor noise, deviation;  // [T, E]: what was added, and its standard deviation; undefined without noise
};

// The noise map's weight before training, [E, D]: DIVE's a linear layer's usual start, LLaMA-MoE's zero.
at::Tensor initial_noise_weight(RetrainStage::Noise kind, int64_t num_experts, int64_t hidden_size,
                                at::Generator& generator);

// normal: [T, E], drawn from N(0, 1). hidden: [T, D]. kind is not kNone.
NoisyLogits add_noise(RetrainStage::Noise kind, const at::Tensor& logits, const at::Tensor& noise_weight,
                      const at::Tensor& hidden, const at::Tensor& normal);

// Weights of dense mixing, where every token visits every expert (DIVE's router stage), [T, E]: softmax(logits /
// temperature), so scaled that they add up to what the weights of the top_k would: rule.scale where the rule weighs by
// a softmax, top_k times that where it gives each expert 1.
at::Tensor mixing_weights(const at::Tensor& logits, const RoutingRule& rule, int64_t top_k, double temperature);

// CV^2(importance) + CV^2(load), CV^2 = unbiased variance / mean^2 (LLaMA-MoE's TopKBalancedNoisyGate). importance: sum
// of routing weights (without the rule's scale) of each expert; load: Shazeer's smooth count (arXiv 1701.06538,
// appendix A), or the count itself where there is no noise or every expert is visited. published_estimator: as the
// released code, which asks of the noise, and not of the noisy logit, whether it is among the top k.
at::Tensor importance_and_load_loss(const NoisyLogits& logits, const Routing& routing, double rule_scale,
                                    bool published_estimator);
at::Tensor smooth_load(const NoisyLogits& logits, int64_t top_k, bool published_estimator);  // [E]

// E times the sum over experts of (share of the visits) (mean softmax weight): 1 where all are alike (arXiv 2101.03961,
// eq. 4).
at::Tensor switch_balance_loss(const at::Tensor& logits, const at::Tensor& visits);

// How many tokens visit each expert, [E] int64.
at::Tensor count_visits(const Routing& routing, int64_t num_experts);

// CMoE after a step: each expert's selection bias goes down by step where more tokens than the mean visited it, up
// where fewer did.
void balance_selection_bias(at::Tensor& selection_bias, const at::Tensor& visits, double step);

}  // namespace moebench
