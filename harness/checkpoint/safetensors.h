// safetensors (huggingface/safetensors): u64 header length, JSON header, one buffer without holes.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <ATen/core/Tensor.h>
#include <nlohmann/json.hpp>

namespace moebench {

class SafetensorsFile {
 public:
  // Validates the whole header (lengths, offsets, overlap, holes, duplicates, dtypes, overflow). Throws
  // std::runtime_error naming file and tensor. Keeps the file mapped as long as it lives.
  explicit SafetensorsFile(const std::filesystem::path& path);
  ~SafetensorsFile();
  SafetensorsFile(SafetensorsFile&&) noexcept;

  std::vector<std::string> names() const;  // sorted
  bool contains(const std::string& name) const;
  // A view of the mapping in the stored dtype; valid while this object lives. Clone it to keep it. Not to be written.
  // Throws std::runtime_error naming file and tensor if it is missing.
  at::Tensor view(const std::string& name) const;
  std::string_view bytes(const std::string& name) const;  // as stored; otherwise like view
  const std::map<std::string, std::string>& metadata() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Written beside, then renamed. Tensors may be of any dtype and layout; they are stored contiguous, ordered by
// dtype alignment, then name. metadata gets {"format": "pt"} unless it has one.
// Throws TryAgainError when the disk is full or read-only, std::invalid_argument for a dtype that the format lacks.
void write_safetensors(const std::filesystem::path& path, const std::map<std::string, at::Tensor>& tensors,
                       std::map<std::string, std::string> metadata);

}  // namespace moebench
