// Greedy decoding: to see that a model speaks, and for generation tasks.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "harness/model/llama.h"

namespace moebench {

// The most likely continuation of prompt, token by token (the lowest id on ties): at most max_tokens new ids, ending
// before the first of stop_ids, or once is_done. Also ends when the model's positions are used up. Throws
// std::invalid_argument for an empty prompt, an id outside the vocabulary or a prompt that is too long,
// std::runtime_error where the model's output is not a number.
std::vector<int64_t> generate_greedily(const LlamaModel& model, const std::vector<int64_t>& prompt, int64_t max_tokens,
                                       const std::vector<int64_t>& stop_ids = {},
                                       const std::function<bool(const std::vector<int64_t>& new_ids)>& is_done = {});

}  // namespace moebench
