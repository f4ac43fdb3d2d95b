// The header of one GGUF file, read and validated.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "harness/checkpoint/gguf.h"
#include "harness/checkpoint/mapped_file.h"

namespace moebench {

// Numbers as the files store them.
enum class GgufValueType : uint32_t {
  kUint8,
  kInt8,
  kUint16,
  kInt16,
  kUint32,
  kInt32,
  kFloat32,
  kBool,
  kString,
  kArray,
  kUint64,
  kInt64,
  kFloat64,
};

// Bytes of a value of fixed size; 0 for strings, arrays and unknown types.
size_t gguf_value_size(GgufValueType type);
const char* gguf_type_name(GgufValueType type);

struct GgufValue {
  GgufValueType type;  // of the elements, for an array
  bool is_array = false;
  uint64_t count = 1;      // elements
  std::string_view bytes;  // the elements one after another; a string is a u64 length and its bytes
};

struct GgufHeader {
  std::map<std::string, GgufValue, std::less<>> metadata;
  std::map<std::string, GgufTensor, std::less<>> tensors;
};

// Throws std::runtime_error naming file and field.
GgufHeader read_gguf_header(const MappedFile& file);

}  // namespace moebench
