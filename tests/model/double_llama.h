// The model again, in double and plain loops, from the definitions: what the tests compare with.
#pragma once

#include <cstdint>
#include <vector>

#include "harness/checkpoint/checkpoint.h"

namespace moebench {

using Vector = std::vector<double>;

// Logits after each token, [tokens][vocab_size].
std::vector<Vector> double_llama_logits(const Checkpoint& checkpoint, const std::vector<int64_t>& ids);

}  // namespace moebench
