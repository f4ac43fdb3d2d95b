// What rows of logits say about the token that came.
#pragma once

#include <cstdint>

namespace moebench {

struct LogitRowScore {
  double logprob = 0;      // natural log of softmax(row)[target]
  bool is_greedy = false;  // target is the argmax; the lowest id on ties
};

// logits: num_rows rows of vocab_size floats; targets: one id a row, within the vocabulary; scores: one a row.
// Rows are shared among the threads; a row's result does not depend on the others.
void score_logit_rows(const float* logits, int64_t num_rows, int64_t vocab_size, const int64_t* targets,
                      LogitRowScore* scores);

}  // namespace moebench
