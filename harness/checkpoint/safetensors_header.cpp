#include "harness/checkpoint/safetensors_header.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <stdexcept>
#include <utility>

#include <nlohmann/json.hpp>

#include "harness/checkpoint/untrusted_json.h"
#include "harness/checkpoint/utf8.h"

namespace moebench {
namespace {

constexpr uint64_t kMaxHeaderLength = 100'000'000;  // the reference implementation's
constexpr size_t kHeaderAlignment = 8;
constexpr std::string_view kMetadataKey = "__metadata__";

constexpr std::array kDtypes = {
    std::pair{std::string_view("F64"), at::kDouble}, std::pair{std::string_view("F32"), at::kFloat},
    std::pair{std::string_view("F16"), at::kHalf},   std::pair{std::string_view("BF16"), at::kBFloat16},
    std::pair{std::string_view("I64"), at::kLong},   std::pair{std::string_view("I32"), at::kInt},
    std::pair{std::string_view("I16"), at::kShort},  std::pair{std::string_view("I8"), at::kChar},
    std::pair{std::string_view("U8"), at::kByte},    std::pair{std::string_view("BOOL"), at::kBool},
};

class HeaderReader {
 public:
  explicit HeaderReader(const MappedFile& file) : path_(file.path().string()) {
    const std::string_view bytes = file.bytes();
    uint64_t length = 0;
    if (bytes.size() < sizeof length) refuse("has no header; incomplete download?");
    std::memcpy(&length, bytes.data(), sizeof length);
    if (length > kMaxHeaderLength) {
      refuse("header length " + std::to_string(length) + " is above " + std::to_string(kMaxHeaderLength) +
             ": not a safetensors file");
    }
    if (length > bytes.size() - sizeof length) {
      refuse("header of " + std::to_string(length) + " bytes does not fit into the file's " +
             std::to_string(bytes.size()) + "; incomplete download?");
    }
    const std::string_view text = bytes.substr(sizeof length, length);
    if (!text.starts_with('{')) refuse("header does not begin with '{': not a safetensors file");
    json_ = parse_json_object(text, path_ + ": header");
    data_ = bytes.substr(sizeof length + length);
  }

  SafetensorsHeader read() const {
    SafetensorsHeader header;
    for (const auto& [name, entry] : json_.items()) {
      if (name == kMetadataKey) {
        header.metadata = read_metadata(entry);
      } else {
        header.tensors.emplace(name, read_tensor(name, entry));
      }
    }
    check_coverage(header);
    return header;
  }

 private:
  [[noreturn]] void refuse(const std::string& reason) const { throw std::runtime_error(path_ + ": " + reason); }

  std::map<std::string, std::string> read_metadata(const nlohmann::json& json) const {
    std::map<std::string, std::string> metadata;
    if (!json.is_object()) refuse("__metadata__ is not an object");
    for (const auto& [key, value] : json.items()) {
      if (!value.is_string()) refuse("__metadata__ " + nlohmann::json(key).dump() + " is not a string");
      metadata.emplace(key, value.get<std::string>());
    }
    return metadata;
  }

  SafetensorsHeader::Tensor read_tensor(const std::string& name, const nlohmann::json& entry) const {
    if (!is_printable_name(name)) refuse("tensor name " + nlohmann::json(name).dump() + " is empty or not printable");
    const std::string field = "tensor '" + name + "'";
    if (!entry.is_object()) refuse(field + " is not described by an object");
    SafetensorsHeader::Tensor tensor{read_dtype(field, entry), read_sizes(field, entry, "shape"), {}};
    const auto offsets = read_sizes(field, entry, "data_offsets");
    if (offsets.size() != 2 || offsets[0] > offsets[1]) refuse(field + ": data_offsets must be [begin, end]");
    if (static_cast<uint64_t>(offsets[1]) > data_.size()) {
      refuse(field + " ends at byte " + std::to_string(offsets[1]) + " of the data but only " +
             std::to_string(data_.size()) + " are there; incomplete download?");
    }
    const int64_t bytes = stored_size(field, tensor);
    if (bytes != offsets[1] - offsets[0]) {
      refuse(field + ": shape and dtype take " + std::to_string(bytes) + " bytes but data_offsets span " +
             std::to_string(offsets[1] - offsets[0]));
    }
    tensor.bytes = data_.substr(static_cast<size_t>(offsets[0]), static_cast<size_t>(bytes));
    return tensor;
  }

  int64_t stored_size(const std::string& field, const SafetensorsHeader::Tensor& tensor) const {
    // Without the zeros first: strides of [0, 2^62, 2^62] would overflow, too.
    int64_t bytes = static_cast<int64_t>(c10::elementSize(tensor.dtype));
    for (const int64_t size : tensor.shape) {
      if (__builtin_mul_overflow(bytes, std::max<int64_t>(size, 1), &bytes))
        refuse(field + ": shape is impossibly large");
    }
    const bool is_empty = std::find(tensor.shape.begin(), tensor.shape.end(), 0) != tensor.shape.end();
    return is_empty ? 0 : bytes;
  }

  at::ScalarType read_dtype(const std::string& field, const nlohmann::json& entry) const {
    const auto found = entry.find("dtype");
    if (found == entry.end() || !found->is_string()) refuse(field + ": dtype is missing");
    std::string known;
    for (const auto& [name, dtype] : kDtypes) {
      if (*found == name) return dtype;
      known += " " + std::string(name);
    }
    refuse(field + ": dtype " + found->dump() + " is not read; known:" + known);
  }

  std::vector<int64_t> read_sizes(const std::string& field, const nlohmann::json& entry, const char* key) const {
    const auto found = entry.find(key);
    if (found == entry.end() || !found->is_array()) refuse(field + ": " + key + " is missing or no array");
    std::vector<int64_t> sizes;
    for (const auto& size : *found) {
      if (!size.is_number_unsigned() || size.get<uint64_t>() > INT64_MAX) {
        refuse(field + ": " + key + " holds " + size.dump() + ", which is no size");
      }
      sizes.push_back(size.get<int64_t>());
    }
    return sizes;
  }

  // Every byte of the data belongs to exactly one tensor.
  void check_coverage(const SafetensorsHeader& header) const {
    std::vector<std::pair<std::string_view, const std::string*>> parts;
    for (const auto& [name, tensor] : header.tensors) parts.emplace_back(tensor.bytes, &name);
    std::sort(parts.begin(), parts.end(), [](const auto& a, const auto& b) {
      return std::pair(a.first.data(), a.first.size()) < std::pair(b.first.data(), b.first.size());
    });
    const char* expected = data_.data();
    for (const auto& [bytes, name] : parts) {
      if (bytes.data() != expected) {
        refuse("tensor '" + *name + "' begins at byte " + std::to_string(bytes.data() - data_.data()) +
               " of the data instead of " + std::to_string(expected - data_.data()) +
               ": tensors overlap or leave a hole; corrupt file?");
      }
      expected += bytes.size();
    }
    if (expected != data_.data() + data_.size()) {
      refuse("the last " + std::to_string(data_.data() + data_.size() - expected) +
             " bytes belong to no tensor; corrupt file?");
    }
  }

  std::string path_;
  nlohmann::json json_;
  std::string_view data_;
};

}  // namespace

std::string safetensors_dtype_name(at::ScalarType dtype) {
  for (const auto& [name, type] : kDtypes) {
    if (type == dtype) return std::string(name);
  }
  throw std::invalid_argument(std::string("safetensors: dtype ") + c10::toString(dtype) + " cannot be stored");
}

SafetensorsHeader read_safetensors_header(const MappedFile& file) { return HeaderReader(file).read(); }

std::string make_safetensors_header(std::vector<SafetensorsEntry>& entries,
                                    const std::map<std::string, std::string>& metadata) {
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    const auto key = [](const SafetensorsEntry& entry) {
      return std::pair(-static_cast<int64_t>(c10::elementSize(entry.dtype)), std::string_view(entry.name));
    };
    return key(a) < key(b);
  });
  nlohmann::ordered_json json = {{kMetadataKey, metadata}};
  int64_t offset = 0;
  for (const auto& [name, dtype, shape] : entries) {
    if (name == kMetadataKey) throw std::invalid_argument("safetensors: no tensor can be called __metadata__");
    int64_t bytes = static_cast<int64_t>(c10::elementSize(dtype));
    for (const int64_t size : shape) bytes *= size;
    json[name] = {
        {"dtype", safetensors_dtype_name(dtype)}, {"shape", shape}, {"data_offsets", {offset, offset + bytes}}};
    offset += bytes;
  }
  std::string text = json.dump();
  text.resize((text.size() + kHeaderAlignment - 1) / kHeaderAlignment * kHeaderAlignment, ' ');
  const uint64_t length = text.size();
  std::string header(sizeof length, '\0');
  std::memcpy(header.data(), &length, sizeof length);
  return header + text;
}

}  // namespace moebench
