// The identity of a model: what is computed with (config) and on (weights).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "harness/checkpoint/llama_config.h"

namespace moebench {

struct StoredTensor {
  std::string name;
  std::string type;
  std::vector<int64_t> shape;
  std::string_view bytes;  // in a mapping
};

// SHA-256 over the config's values and each tensor's name, type, shape and SHA-256. Tensors are hashed in parallel and
// their pages given back. The config counts: the same weights with another RoPE base are another model.
std::string weights_hash(const LlamaConfig& config, const std::vector<StoredTensor>& tensors);

}  // namespace moebench
