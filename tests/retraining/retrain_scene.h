// A tiny model, mixtures cut out of it, and a text that repeats itself.
#pragma once

#include <functional>
#include <vector>

#include "harness/conversion.h"
#include "harness/retrain_stage.h"
#include "harness/retraining/trainable_model.h"
#include "tests/model/memory_checkpoint.h"

namespace moebench {

// Both layers: 12 shared neurons and three routed experts of 12 each, linear router, softmax over the top_k.
Conversion linear_mixture(int64_t top_k);

// The final hidden states of a model that the conversion is applied to, [B, T, D].
at::Tensor applied_hidden(const Checkpoint& checkpoint, const Conversion& conversion, const at::Tensor& ids);

// Random ids below the tiny model's vocabulary.
at::Tensor random_ids(int64_t rows, int64_t columns, uint64_t seed = 3);
// The same few ids over and over, [num_tokens].
at::Tensor repetitive_text(int64_t num_tokens);

// The gradient of the mean cross-entropy of ids with respect to a parameter of that name; undefined without one.
at::Tensor gradient_of(TrainableModel& model, const std::string& name, const at::Tensor& ids);

// Gives every low-rank update of the model some value other than zero.
void disturb(const TrainableModel& model);

double largest_difference(const at::Tensor& one, const at::Tensor& other);

}  // namespace moebench
