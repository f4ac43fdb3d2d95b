// The JSON header of a safetensors file, for reader and writers.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <c10/core/ScalarType.h>

#include "harness/checkpoint/mapped_file.h"

namespace moebench {

struct SafetensorsEntry {
  std::string name;
  at::ScalarType dtype = at::kFloat;
  std::vector<int64_t> shape;
};

struct SafetensorsHeader {
  struct Tensor {
    at::ScalarType dtype;
    std::vector<int64_t> shape;
    std::string_view bytes;  // in the mapping
  };
  std::map<std::string, Tensor> tensors;
  std::map<std::string, std::string> metadata;
};

// "F32" for float; throws std::invalid_argument for a type that the format lacks.
std::string safetensors_dtype_name(at::ScalarType dtype);

// Throws std::runtime_error naming file and tensor.
SafetensorsHeader read_safetensors_header(const MappedFile& file);

// Puts entries into the order in which their data follow, by dtype alignment, then name, and returns the bytes of the
// file before them.
std::string make_safetensors_header(std::vector<SafetensorsEntry>& entries,
                                    const std::map<std::string, std::string>& metadata);

}  // namespace moebench
