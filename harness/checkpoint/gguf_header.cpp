#include "harness/checkpoint/gguf_header.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "harness/checkpoint/utf8.h"

namespace moebench {
namespace {

constexpr uint32_t kVersion = 3;
constexpr uint32_t kMaxDimensions = 4;
constexpr uint64_t kMaxNameLength = 65535;    // gguf.md
constexpr uint64_t kSmallestKeyValue = 13;    // an empty key, a type, one byte
constexpr uint64_t kSmallestTensorInfo = 32;  // an empty name, one dimension
constexpr uint64_t kDefaultAlignment = 32;

struct ValueTypeInfo {
  const char* name;
  size_t size;
};
constexpr std::array<ValueTypeInfo, 13> kValueTypes = {{{"uint8", 1},
                                                        {"int8", 1},
                                                        {"uint16", 2},
                                                        {"int16", 2},
                                                        {"uint32", 4},
                                                        {"int32", 4},
                                                        {"float32", 4},
                                                        {"bool", 1},
                                                        {"string", 0},
                                                        {"array", 0},
                                                        {"uint64", 8},
                                                        {"int64", 8},
                                                        {"float64", 8}}};

// Takes values off the front of the file; never reads past its end.
class Reader {
 public:
  explicit Reader(const MappedFile& file) : file_(file) {}

  std::runtime_error refuse(const std::string& reason) const {
    return std::runtime_error(file_.path().string() + ": " + reason);
  }

  uint64_t position() const { return position_; }
  uint64_t remaining() const { return file_.bytes().size() - position_; }

  std::string_view take(uint64_t length, const std::string& field) {
    if (length > remaining()) {
      throw refuse(field + " takes " + std::to_string(length) + " bytes at byte " + std::to_string(position_) +
                   " but the file has " + std::to_string(file_.bytes().size()) + "; incomplete download?");
    }
    const std::string_view bytes = file_.bytes().substr(position_, length);
    position_ += length;
    return bytes;
  }

  template <class Number>
  Number take(const std::string& field) {
    Number value;
    std::memcpy(&value, take(sizeof value, field).data(), sizeof value);
    return value;
  }

  std::string_view take_string(const std::string& field) { return take(take<uint64_t>(field), field); }

  std::string take_name(const std::string& field) {
    const uint64_t begin = position_;
    const std::string_view name = take_string(field);
    if (name.size() > kMaxNameLength || !is_printable_name(name)) {
      throw refuse(field + " at byte " + std::to_string(begin) + " is not a name in UTF-8; corrupt file?");
    }
    return std::string(name);
  }

  // A number of things still to come, each of at least smallest bytes.
  uint64_t take_count(const std::string& field, uint64_t smallest) {
    const auto count = take<uint64_t>(field);
    check_count(count, smallest, field);
    return count;
  }

  void check_count(uint64_t count, uint64_t smallest, const std::string& field) const {
    if (count > remaining() / smallest) {
      throw refuse(field + " says " + std::to_string(count) + " but only " + std::to_string(remaining()) +
                   " bytes follow; incomplete download?");
    }
  }

 private:
  const MappedFile& file_;
  uint64_t position_ = 0;
};

void check_magic_and_version(Reader& reader) {
  if (reader.take(4, "the magic number") != "GGUF") throw reader.refuse("does not begin with 'GGUF': not a GGUF file");
  const auto version = reader.take<uint32_t>("the version");
  if (version == kVersion) return;
  if (version == __builtin_bswap32(kVersion)) {
    throw reader.refuse("is big-endian GGUF; only little-endian files are read");
  }
  throw reader.refuse("is GGUF version " + std::to_string(version) + "; only version 3 is read, convert it anew");
}

GgufValueType take_type(Reader& reader, const std::string& field) {
  const auto type = reader.take<uint32_t>(field);
  if (type >= kValueTypes.size()) throw reader.refuse(field + " has unknown type " + std::to_string(type));
  return static_cast<GgufValueType>(type);
}

GgufValue take_value(Reader& reader, const std::string& key) {
  const std::string field = "metadata '" + key + "'";
  GgufValue value{take_type(reader, field)};
  if (value.type == GgufValueType::kArray) {
    value.is_array = true;
    value.type = take_type(reader, field);
    if (value.type == GgufValueType::kArray) throw reader.refuse(field + " is an array of arrays, which is not read");
    value.count = reader.take<uint64_t>(field);
  }
  const size_t size = gguf_value_size(value.type);
  reader.check_count(value.count, size == 0 ? sizeof(uint64_t) : size, field);
  if (size != 0) {
    value.bytes = reader.take(value.count * size, field);
    return value;
  }
  const char* begin = reader.take(0, field).data();
  for (uint64_t i = 0; i < value.count; ++i) reader.take_string(field);
  value.bytes = {begin, static_cast<size_t>(reader.take(0, field).data() - begin)};
  return value;
}

struct TensorInfo {
  std::string name;
  GgufTensor tensor;  // without bytes
  uint64_t offset = 0;
  uint64_t size = 0;
};

std::vector<int64_t> take_shape(Reader& reader, const std::string& field) {
  const auto num_dimensions = reader.take<uint32_t>(field);
  if (num_dimensions < 1 || num_dimensions > kMaxDimensions) {
    throw reader.refuse(field + " has " + std::to_string(num_dimensions) + " dimensions; 1 to 4 are possible");
  }
  std::vector<int64_t> shape(num_dimensions);
  int64_t elements = 1;
  for (uint32_t i = 0; i < num_dimensions; ++i) {
    const auto size = static_cast<int64_t>(reader.take<uint64_t>(field));
    if (size <= 0 || __builtin_mul_overflow(elements, size, &elements)) {
      throw reader.refuse(field + " has an impossible size " + std::to_string(static_cast<uint64_t>(size)) +
                          " in dimension " + std::to_string(i));
    }
    shape[num_dimensions - 1 - i] = size;  // stored innermost first
  }
  return shape;
}

uint64_t stored_size(const Reader& reader, const std::string& field, const GgufTensor& tensor) {
  const BlockLayout& layout = block_layout(tensor.type);
  if (tensor.shape.back() % layout.elements != 0) {
    throw reader.refuse(field + " has rows of " + std::to_string(tensor.shape.back()) +
                        " elements, which are no whole " + std::string(layout.name) + " blocks of " +
                        std::to_string(layout.elements));
  }
  int64_t blocks = 1, bytes = 0;
  for (const int64_t size : tensor.shape) blocks *= size;
  blocks /= layout.elements;
  if (__builtin_mul_overflow(blocks, layout.bytes, &bytes)) throw reader.refuse(field + " is impossibly large");
  return static_cast<uint64_t>(bytes);
}

TensorInfo take_tensor_info(Reader& reader) {
  TensorInfo info;
  info.name = reader.take_name("a tensor's name");
  const std::string field = "tensor '" + info.name + "'";
  info.tensor.shape = take_shape(reader, field);
  const auto type = reader.take<uint32_t>(field);
  if (find_block_layout(type) == nullptr) {
    throw reader.refuse(field + " has element type " + std::to_string(type) +
                        ", which is not read; known: " + known_block_names());
  }
  info.tensor.type = static_cast<GgmlType>(type);
  info.size = stored_size(reader, field, info.tensor);
  info.offset = reader.take<uint64_t>(field);
  return info;
}

uint64_t alignment_of(const Reader& reader, const GgufHeader& header) {
  const auto found = header.metadata.find("general.alignment");
  if (found == header.metadata.end()) return kDefaultAlignment;
  if (found->second.type != GgufValueType::kUint32 || found->second.is_array) {
    throw reader.refuse("metadata 'general.alignment' must be uint32");
  }
  uint32_t alignment;
  std::memcpy(&alignment, found->second.bytes.data(), sizeof alignment);
  if (alignment == 0 || (alignment & (alignment - 1)) != 0) {
    throw reader.refuse("metadata 'general.alignment' is " + std::to_string(alignment) + ", not a power of two");
  }
  return alignment;
}

uint64_t align_up(uint64_t position, uint64_t alignment) { return (position + alignment - 1) / alignment * alignment; }

// Gives every tensor its bytes. Tensors follow one another, each padded to the alignment.
void place_tensors(const Reader& reader, std::string_view file_bytes, uint64_t alignment, std::vector<TensorInfo> infos,
                   GgufHeader& header) {
  const uint64_t data_begin = std::min<uint64_t>(align_up(reader.position(), alignment), file_bytes.size());
  const std::string_view data = file_bytes.substr(data_begin);
  std::sort(infos.begin(), infos.end(), [](const auto& a, const auto& b) { return a.offset < b.offset; });
  uint64_t expected = 0;
  for (TensorInfo& info : infos) {
    const std::string field = "tensor '" + info.name + "'";
    if (info.offset > data.size() || info.size > data.size() - info.offset) {
      throw reader.refuse(field + " has " + std::to_string(info.size) + " bytes at offset " +
                          std::to_string(info.offset) + " but only " + std::to_string(data.size()) +
                          " bytes of data are there; incomplete download?");
    }
    if (info.offset != expected) {
      throw reader.refuse(field + " begins at offset " + std::to_string(info.offset) + " instead of " +
                          std::to_string(expected) + ": tensors overlap or leave a hole; corrupt file?");
    }
    expected = align_up(info.offset + info.size, alignment);
    info.tensor.bytes = data.substr(info.offset, info.size);
    if (!header.tensors.emplace(info.name, std::move(info.tensor)).second) {
      throw reader.refuse(field + " occurs twice");
    }
  }
}

}  // namespace

size_t gguf_value_size(GgufValueType type) { return kValueTypes[static_cast<size_t>(type)].size; }

const char* gguf_type_name(GgufValueType type) { return kValueTypes[static_cast<size_t>(type)].name; }

GgufHeader read_gguf_header(const MappedFile& file) {
  Reader reader(file);
  check_magic_and_version(reader);
  const auto num_tensors = reader.take_count("the number of tensors", kSmallestTensorInfo);
  const auto num_values = reader.take_count("the number of metadata values", kSmallestKeyValue);
  GgufHeader header;
  for (uint64_t i = 0; i < num_values; ++i) {
    const std::string key = reader.take_name("a metadata key");
    if (!header.metadata.emplace(key, take_value(reader, key)).second) {
      throw reader.refuse("metadata '" + key + "' occurs twice");
    }
  }
  std::vector<TensorInfo> infos;
  for (uint64_t i = 0; i < num_tensors; ++i) infos.push_back(take_tensor_info(reader));
  place_tensors(reader, file.bytes(), alignment_of(reader, header), std::move(infos), header);
  return header;
}

}  // namespace moebench
