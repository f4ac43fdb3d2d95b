// What rows of logits say about the token that came.
#pragma once

#include <cstdint>

namespace moebench {

// Whoever meets such a row says so; no number is made of it.
inline constexpr const char* kNotANumber =
    "the model's output is not a number: its weights hold such values, or its activations overflow (a retraining that "
    "diverged in its last steps?)";

struct LogitRowScore {
  double logprob = 0;      // natural log of softmax(row)[target]; not a number if the row has one that is none
  bool is_greedy = false;  // target is the argmax; the lowest id on ties
};

// logits: num_rows rows of vocab_size floats; targets: one id a row, within the vocabulary; scores: one a row.
// Rows are shared among the threads; a row's result does not depend on the others.
void score_logit_rows(const float* logits, int64_t num_rows, int64_t vocab_size, const int64_t* targets,
                      LogitRowScore* scores);

}  // namespace moebench
