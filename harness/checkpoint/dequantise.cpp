#include "harness/checkpoint/dequantise.h"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <vector>

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include "harness/checkpoint/block_decoders.h"

namespace moebench {
namespace {

struct Format {
  GgmlType type;
  BlockLayout layout;
  BlockDecoder decode;
};

constexpr std::array kFormats = {
    Format{GgmlType::kF32, {"F32", 1, 4}, decode_f32},        Format{GgmlType::kF16, {"F16", 1, 2}, decode_f16},
    Format{GgmlType::kBF16, {"BF16", 1, 2}, decode_bf16},     Format{GgmlType::kQ8_0, {"Q8_0", 32, 34}, decode_q8_0},
    Format{GgmlType::kQ4_0, {"Q4_0", 32, 18}, decode_q4_0},   Format{GgmlType::kQ4_1, {"Q4_1", 32, 20}, decode_q4_1},
    Format{GgmlType::kQ5_0, {"Q5_0", 32, 22}, decode_q5_0},   Format{GgmlType::kQ5_1, {"Q5_1", 32, 24}, decode_q5_1},
    Format{GgmlType::kQ4_K, {"Q4_K", 256, 144}, decode_q4_k}, Format{GgmlType::kQ5_K, {"Q5_K", 256, 176}, decode_q5_k},
    Format{GgmlType::kQ6_K, {"Q6_K", 256, 210}, decode_q6_k},
};

const Format* find_format(uint32_t type) {
  const auto found = std::find_if(kFormats.begin(), kFormats.end(),
                                  [&](const Format& format) { return static_cast<uint32_t>(format.type) == type; });
  return found == kFormats.end() ? nullptr : &*found;
}

const Format& format_of(GgmlType type) { return *find_format(static_cast<uint32_t>(type)); }

constexpr int64_t kChunkElements = 16384;  // decoded at a time: a narrowing buffer that stays in cache
// A thread's share is about a millisecond of work at least. On a busy machine waiting for a second thread costs more
// than that, and a small model has hundreds of tensors.
constexpr int64_t kChunksWorthAThread = 64;

// Runs work(first block, number of blocks) over all blocks, in parallel.
template <class Work>
void for_each_chunk(const BlockLayout& layout, int64_t num_elements, Work work) {
  const int64_t chunk_blocks = kChunkElements / layout.elements;
  const int64_t num_blocks = num_elements / layout.elements;
  const int64_t num_chunks = (num_blocks + chunk_blocks - 1) / chunk_blocks;
  at::parallel_for(0, num_chunks, kChunksWorthAThread, [&](int64_t begin, int64_t end) {
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      const int64_t first = chunk * chunk_blocks;
      work(first, std::min(chunk_blocks, num_blocks - first));
    }
  });
}

template <class Narrow>
void decode_narrowed(const Format& format, const uint8_t* blocks, int64_t num_elements, Narrow* values) {
  for_each_chunk(format.layout, num_elements, [&](int64_t first, int64_t count) {
    thread_local std::vector<float> buffer(kChunkElements);
    format.decode(blocks + first * format.layout.bytes, count, buffer.data());
    std::copy_n(buffer.data(), count * format.layout.elements, values + first * format.layout.elements);
  });
}

}  // namespace

const BlockLayout* find_block_layout(uint32_t type) {
  const Format* format = find_format(type);
  return format == nullptr ? nullptr : &format->layout;
}

const BlockLayout& block_layout(GgmlType type) { return format_of(type).layout; }

std::string known_block_names() {
  std::string names;
  for (const Format& format : kFormats) names += (names.empty() ? "" : " ") + std::string(format.layout.name);
  return names;
}

at::Tensor dequantise(GgmlType type, std::string_view bytes, at::IntArrayRef shape, at::ScalarType dtype) {
  const Format& format = format_of(type);
  at::Tensor values = at::empty(shape, dtype);
  const int64_t num_elements = values.numel();
  if (num_elements % format.layout.elements != 0 ||
      num_elements / format.layout.elements * format.layout.bytes != static_cast<int64_t>(bytes.size())) {
    throw std::invalid_argument("dequantise: " + std::to_string(bytes.size()) + " bytes are not " +
                                std::to_string(num_elements) + " elements of " + std::string(format.layout.name));
  }
  const auto* blocks = reinterpret_cast<const uint8_t*>(bytes.data());
  switch (dtype) {
    case at::kFloat: {
      float* output = values.mutable_data_ptr<float>();
      for_each_chunk(format.layout, num_elements, [&](int64_t first, int64_t count) {
        format.decode(blocks + first * format.layout.bytes, count, output + first * format.layout.elements);
      });
      break;
    }
    case at::kBFloat16:
      decode_narrowed(format, blocks, num_elements, values.mutable_data_ptr<at::BFloat16>());
      break;
    case at::kHalf:
      decode_narrowed(format, blocks, num_elements, values.mutable_data_ptr<at::Half>());
      break;
    default:
      throw std::invalid_argument("dequantise: dtype must be float, bfloat16 or half");
  }
  return values;
}

}  // namespace moebench
