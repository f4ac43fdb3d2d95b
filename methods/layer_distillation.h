// LaDiMo-style distillation (the paper's code is not public): one layer's experts and router learn to give what the
// dense FFN gives. T tokens, D hidden_size, E experts, F expert_intermediate_size.
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include "harness/model/feed_forward.h"

namespace moebench {

// output(x) = E relative_scale sum_e w_e expert_e(x) with w the softmax of router x over the chosen experts. All in one
// dtype. Gradients have the same shapes.
struct StudentLayer {
  GatedMlpWeights experts;    // side by side: gate and up [E F, D], down [D, E F]
  at::Tensor router;          // [E, D]
  at::Tensor relative_scale;  // [1]

  int64_t num_experts() const { return router.size(0); }
  at::Tensor forward(const at::Tensor& inputs, int64_t top_k) const;  // [T, D] → [T, D]
};

// What the dense layer makes of some text.
struct LayerText {
  at::Tensor inputs, outputs;  // [T, D], any float dtype
};

// ||output - target||^2 / ||target||^2 of every token, [T].
at::Tensor normalised_errors(const at::Tensor& outputs, const at::Tensor& targets);

struct StudentStep {
  double loss = 0;
  StudentLayer gradients;
};

// loss: the mean of normalised_errors, plus balance times the Switch loss E sum_e (share of visits) (mean softmax
// weight). Gradients by hand.
StudentStep loss_and_gradients(const StudentLayer& student, const LayerText& text, int64_t top_k, double balance);

struct DistillationOptions {
  int64_t epochs = 3, batch_tokens = 512, top_k = 1;
  double learning_rate = 0.05;  // of the experts, in root mean squares of the weight: models differ by ten in these
  double router_learning_rate = 1e-3;
  double balance = 0;
};

// Trains the student, which must be fp32, with AdamW on a cosine: the first half of the steps mixes all experts, so
// that the router's weights mean something for each of them, the second half top_k. Every epoch in a new order.
// Returns the mean normalised error on held_out with top_k, before training and after each epoch. Deterministic.
// Throws std::invalid_argument if the loss stops being finite.
std::vector<double> distil(StudentLayer& student, const LayerText& training, const LayerText& held_out,
                           const DistillationOptions& options, at::Generator generator);

}  // namespace moebench
