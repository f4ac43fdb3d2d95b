#include "harness/scoring/greedy.h"

#include <algorithm>
#include <stdexcept>

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include "harness/scoring/logit_rows.h"

namespace moebench {

std::vector<int64_t> generate_greedily(const LlamaModel& model, const std::vector<int64_t>& prompt, int64_t max_tokens,
                                       const std::vector<int64_t>& stop_ids,
                                       const std::function<bool(const std::vector<int64_t>&)>& is_done) {
  const c10::InferenceMode inference;
  // The last new id is never fed, so the text may be one token longer than the positions.
  const int64_t room = model.config().max_position_embeddings + 1 - std::ssize(prompt);
  KvCache cache(model.config().num_layers);
  at::Tensor ids = at::tensor(prompt, at::kLong).unsqueeze(0);
  std::vector<int64_t> generated;
  while (std::ssize(generated) < max_tokens) {
    const at::Tensor hidden = model.forward(ids, &cache);
    const at::Tensor logits = model.logits(hidden.select(1, -1));
    if (logits.isnan().any().item<bool>()) throw std::runtime_error(kNotANumber);
    const int64_t next = logits.argmax().item<int64_t>();
    if (std::find(stop_ids.begin(), stop_ids.end(), next) != stop_ids.end()) break;
    generated.push_back(next);
    if (std::ssize(generated) >= room || (is_done && is_done(generated))) break;
    ids = at::full({1, 1}, next, at::kLong);
  }
  return generated;
}

}  // namespace moebench
