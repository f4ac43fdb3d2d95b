// GGUF v3 (ggml docs/gguf.md): a header of typed metadata and tensor descriptions, then aligned tensor data.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <ATen/core/Tensor.h>

#include "harness/checkpoint/dequantise.h"

namespace moebench {

struct GgufTensor {
  std::vector<int64_t> shape;  // outermost first, as in PyTorch: a linear weight is [out, in]
  GgmlType type = GgmlType::kF32;
  std::string_view bytes;  // in the mapping

  // As stored: q and k rows of arch "llama" are in adjacent-pair order, see open_checkpoint.
  at::Tensor load(at::ScalarType dtype) const { return dequantise(type, bytes, shape, dtype); }
};

// One file, or the whole of a split set when given its first. Everything is validated on opening; views stay valid as
// long as this object lives.
class GgufFile {
 public:
  // Throws std::runtime_error naming file and field: not GGUF v3, truncated, counts or lengths past the end, unknown
  // types, names that are not UTF-8 or occur twice, tensors out of bounds, overlapping or leaving holes.
  explicit GgufFile(const std::filesystem::path& path);
  ~GgufFile();

  const std::filesystem::path& path() const;

  // Metadata of the first file. Null if the key is missing; std::runtime_error naming file and key if its value is of
  // another type.
  std::optional<int64_t> find_integer(std::string_view key) const;  // any integer type
  std::optional<double> find_number(std::string_view key) const;    // any float or integer type
  std::optional<bool> find_bool(std::string_view key) const;
  std::optional<std::string_view> find_string(std::string_view key) const;  // bytes: UTF-8 is not checked
  std::optional<std::vector<int64_t>> find_integers(std::string_view key) const;
  std::optional<std::vector<double>> find_numbers(std::string_view key) const;
  std::optional<std::vector<std::string_view>> find_strings(std::string_view key) const;

  const std::map<std::string, GgufTensor, std::less<>>& tensors() const;
  const GgufTensor* find_tensor(std::string_view name) const;  // null if missing

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace moebench
