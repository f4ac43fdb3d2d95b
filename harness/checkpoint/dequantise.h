// The element formats of GGUF tensors (ggml) and their decoding to floating point. Block facts: ggml-quants.c.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <ATen/core/Tensor.h>

namespace moebench {

// Numbers as the files store them.
enum class GgmlType : uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kBF16 = 30,
};

// A block of `elements` values takes `bytes` bytes; rows are whole blocks.
struct BlockLayout {
  std::string_view name;  // "Q4_K"
  int64_t elements;
  int64_t bytes;
};

// Null for a number that is none of the above.
const BlockLayout* find_block_layout(uint32_t type);
const BlockLayout& block_layout(GgmlType type);

// "F32 F16 BF16 Q8_0 …", for messages.
std::string known_block_names();

// blocks: the whole tensor as stored. Returns shape in dtype (float, bfloat16 or half), with memory of its own.
// Throws std::invalid_argument if the bytes are not those of the shape.
at::Tensor dequantise(GgmlType type, std::string_view blocks, at::IntArrayRef shape, at::ScalarType dtype);

}  // namespace moebench
