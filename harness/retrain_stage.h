// A retraining recipe as data: what is trained, how fast, towards what. Plain structs, no torch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace moebench {

enum class Training {
  kFrozen,
  kLowRank,  // LoRA, merged when the conversion is applied
  kFull,
};

struct RetrainStage {
  std::string name;        // "router", "experts"
  double token_share = 1;  // of the token budget; a recipe's stages add up to 1

  // What is trained. Routed and shared experts: gate, up and down projection of each. Attention: q, k, v, o.
  Training experts = Training::kLowRank, attention = Training::kFrozen;
  bool router = true, norms = false, embeddings = false;
  bool expert_scale = false;  // CMoE's u: the paper trains it, the released code does not
  int64_t rank = 8;
  double alpha = 16, dropout = 0;  // of low-rank updates: scale alpha / rank, dropout on their input

  // AdamW.
  double learning_rate = 1e-4, expert_scale_learning_rate = 1e-3;
  enum class Schedule { kConstant, kCosine };
  Schedule schedule = Schedule::kCosine;
  double warm_up_share = 0.03;  // of the stage's steps, linear
  double floor_share = 0;       // of the learning rate, where a cosine ends
  double beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8, weight_decay = 0, clip_norm = 1;  // clip_norm 0: no clipping
  int64_t tokens_a_step = 4096;  // gradients are accumulated up to it

  // Routing while training.
  bool visit_all = false;  // dense mixing: every token visits every expert, weights softmax(logits / temperature)
  double temperature = 1;
  enum class Noise {
    kNone,
    kDive,      // + N(0, 1) softplus(W x) 5e-4
    kLlamaMoe,  // + N(0, 1) (softplus(W x) + 0.01), W from zero
  };
  Noise noise = Noise::kNone;

  // Added to the cross-entropy, summed over layers.
  double importance_and_load = 0;  // times CV^2(importance) + CV^2(load) (LLaMA-MoE)
  bool published_load_estimator =
      false;                       // the released code compares the noise with the threshold, not the noisy logit
  double switch_balance = 0;       // times E sum_e (share of visits) (mean softmax weight) (Switch, LaDiMo-style)
  double selection_bias_step = 0;  // CMoE: after a step, down where an expert is visited more than the mean, else up
};

using RetrainRecipe = std::vector<RetrainStage>;

}  // namespace moebench
