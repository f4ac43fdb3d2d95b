// A checkpoint of random tensors in memory, for tests.
#pragma once

#include <map>
#include <string>

#include <ATen/core/Tensor.h>

#include "harness/checkpoint/checkpoint.h"

namespace moebench {

// Two layers, four heads on two key/value heads, 96 positions; a test changes what it is about.
LlamaConfig tiny_llama_config();

class MemoryCheckpoint : public Checkpoint {
 public:
  // Every tensor that the config implies, with the Hugging Face names; drawn from seed.
  explicit MemoryCheckpoint(const LlamaConfig& config, uint64_t seed = 0);

  std::vector<std::string> names() const override;
  bool contains(const std::string& name) const override { return tensors_.contains(name); }
  at::Tensor load(const std::string& name, at::ScalarType dtype) const override;
  at::Tensor& tensor(const std::string& name) { return tensors_.at(name); }
  std::string content_hash() const override { return "random"; }

 private:
  std::map<std::string, at::Tensor> tensors_;
};

}  // namespace moebench
