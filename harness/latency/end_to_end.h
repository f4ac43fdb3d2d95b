// What of the kernel's gain arrives: whole models in turns, prefill and decode apart, as llama-bench times them.
#pragma once

#include <functional>
#include <vector>

#include <ATen/core/Tensor.h>

#include "harness/model/llama.h"
#include "kernels/timing/turns.h"

namespace moebench {

struct EndToEndOptions {
  int64_t prefill_tokens = 512;
  int64_t decode_tokens = 32;  // one by one, behind a context of prefill_tokens
  kernels::TimingLimits limits;
  std::function<void(double done)> progress;
};

struct PhaseLatency {
  std::string phase;                                     // "prefill", "decode"
  int64_t tokens = 0;                                    // of one sample
  std::vector<double> dense_seconds, converted_seconds;  // of each round; the latter empty for a dense model
  kernels::PairedRatio ratio;                            // converted over dense
  kernels::PairedRatio same;                             // dense over dense
  kernels::Verdict verdict = kernels::Verdict::kIndistinguishable;
};

// model: with its conversion applied; it is timed against its dense parent, whose feed-forward networks run by the same
// kernels. ids: [T] of one text, the same trace for both, at least prefill_tokens + decode_tokens; what a model would
// say is not looked at. Tokenising and choosing tokens are not timed, logits are.
std::vector<PhaseLatency> measure_end_to_end(const LlamaModel& model, const at::Tensor& ids,
                                             const EndToEndOptions& options);

// Share of the weights that a token reads (all but the embedding, of which it reads a row) which are the feed-forward
// networks'.
double feed_forward_share(const LlamaConfig& config);

// The least of dense's time that decoding can take with a share active_ratio of the feed-forward weights active
// (Amdahl): the rest is read all the same.
double least_decoding_ratio(const LlamaConfig& config, double active_ratio);

}  // namespace moebench
