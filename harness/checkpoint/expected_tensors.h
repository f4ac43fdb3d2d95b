// The tensors that a config implies, under their Hugging Face names.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "harness/checkpoint/llama_config.h"

namespace moebench {

struct ExpectedTensor {
  std::string name;
  std::vector<int64_t> shape;
};

// In the order of the forward pass: embedding, layers, final norm, head (if it is not tied).
std::vector<ExpectedTensor> expected_tensors(const LlamaConfig& config);

// Throws std::runtime_error naming path and the first tensor that is missing, has another shape, or that no part of
// the model would use (a bias or a layer too many means another model than the config says).
void check_tensors(const LlamaConfig& config, const std::map<std::string, std::vector<int64_t>>& shapes,
                   const std::filesystem::path& path);

}  // namespace moebench
