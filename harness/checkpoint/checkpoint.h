// A dense checkpoint on disk, read tensor by tensor through a memory map; never all of it unless asked.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "harness/checkpoint/llama_config.h"

namespace moebench {

class Checkpoint {
 public:
  virtual ~Checkpoint() = default;

  const LlamaConfig& config() const { return config_; }
  const std::filesystem::path& path() const { return path_; }

  // Hugging Face names ("model.layers.0.self_attn.q_proj.weight"), whatever the file calls them.
  virtual std::vector<std::string> names() const = 0;
  virtual bool contains(const std::string& name) const = 0;

  // In Hugging Face layout (linear weights [out, in], half-split RoPE rows), dequantised, in dtype. Owns its memory.
  // Throws std::runtime_error if the tensor is missing, naming file and tensor.
  virtual at::Tensor load(const std::string& name, at::ScalarType dtype) const = 0;

  // Identity of the model: SHA-256 over the stored tensors and what the config says of computing with them. Reads
  // everything the first time it is asked.
  virtual std::string content_hash() const = 0;

 protected:
  LlamaConfig config_;
  std::filesystem::path path_;
};

// path: a Hugging Face directory (config.json with model.safetensors or its index) or a .gguf file (the first of a
// split set). Checks that every tensor the config implies is there with its shape. Throws std::runtime_error naming
// file and field for anything missing, truncated, corrupt or unsupported.
std::unique_ptr<Checkpoint> open_checkpoint(const std::filesystem::path& path);

// What --model takes: a path, or a name that scripts/fetch knows ("smollm2-135m"), looked up in the cache folder's
// models/NAME/, which holds a .gguf file or is a Hugging Face directory. Throws std::invalid_argument if neither is
// there.
std::filesystem::path resolve_model_path(const std::string& model);

}  // namespace moebench
