// Brief training of a converted model's chosen parameters on a text, under a token budget.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

#include <ATen/core/Tensor.h>

#include "harness/checkpoint/checkpoint.h"
#include "harness/conversion.h"
#include "harness/retrain_stage.h"

namespace moebench {

struct RetrainProgress {
  int64_t step = 0, num_steps = 0;
  int64_t tokens = 0;  // trained on so far
  double loss = 0;     // of the last step, mean over its tokens
  double fraction = 0;
};

struct RetrainRequest {
  const Checkpoint& checkpoint;
  const Conversion& conversion;  // earlier retraining in it is what this one starts from
  RetrainRecipe recipe;
  at::Tensor ids;        // the text, [num_tokens] int64
  int64_t window = 512;  // tokens that are seen together
  uint64_t seed = 0;
  // Tokens after which the conversion is wanted, ascending; the last is the budget that schedules are scaled to.
  std::vector<int64_t> marks;
  at::ScalarType dtype = at::kFloat;      // or at::kBFloat16: of the products; trained weights are fp32 in both
  bool activation_checkpointing = false;  // a third more time for a layer's memory instead of the model's
  // Where training stands: written at marks, every few minutes and when progress throws; read at the start, where it is
  // there. "": not kept. The caller removes it once it has what it wants.
  std::filesystem::path state_file;
  std::function<void(const RetrainProgress&)> progress;  // after every step; what it throws ends the training
};

// Trains, and hands out the conversion at every mark: a copy of the request's with low-rank updates or weights of their
// own in the experts, trained router tensors, rules, norms, attention and embeddings. Its metadata gains "retraining":
// {recipe, tokens, budget, window, seed, dtype, seconds, peak_memory_bytes, text_hash, curve: [{stage, tokens, loss,
// balance, learning_rate, gradient_norm, tokens_per_second}, …], load: per layer each routed expert's share of the last
// step's visits}, and "before", the same of an earlier retraining. A step is never split, so a mark gets what was
// trained in the steps that fit into it, one at least. Each stage goes on from the merged weights of the one before
// with new low-rank updates; what a stage trains nothing of is left out. Where routing is adaptive, a token visits in
// training what it would visit otherwise. A mark that the state file is past was handed out before and is not again;
// the last always is. The same request gives the same bits, in one run or in several with a state file between, and
// with activation checkpointing or without. Throws std::invalid_argument: a recipe that trains nothing, marks that do
// not ascend, a text shorter than a window, a window longer than the model's positions, an id outside the vocabulary, a
// conversion that was not made for the model or routes by an oracle. std::runtime_error: a loss or gradient that is not
// finite (step and stage are named), a loss that rose to that of guessing, a state file of another request.
void retrain(const RetrainRequest& request,
             const std::function<void(int64_t mark, const Conversion& conversion)>& at_mark);

}  // namespace moebench
