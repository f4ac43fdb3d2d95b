#include "harness/checkpoint/gguf.h"

#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "harness/checkpoint/gguf_header.h"
#include "harness/checkpoint/mapped_file.h"

namespace moebench {

struct GgufFile::State {
  std::vector<MappedFile> files;
  GgufHeader header;  // metadata of the first file, tensors of all

  std::runtime_error refuse(std::string_view key, const std::string& reason) const {
    return std::runtime_error(files.front().path().string() + ": metadata '" + std::string(key) + "' " + reason);
  }

  const GgufValue* find(std::string_view key) const {
    const auto found = header.metadata.find(key);
    return found == header.metadata.end() ? nullptr : &found->second;
  }

  // The value of a key that must be one thing, or an array of things.
  const GgufValue* find(std::string_view key, bool is_array) const {
    const GgufValue* value = find(key);
    if (value != nullptr && value->is_array != is_array) {
      throw refuse(key, is_array ? "must be an array" : "must not be an array");
    }
    return value;
  }
};

namespace {

template <class Stored>
Stored element(const GgufValue& value, uint64_t index) {
  Stored stored;
  std::memcpy(&stored, value.bytes.data() + index * sizeof stored, sizeof stored);
  return stored;
}

// Calls visit(element) with element `index` as it is stored; false if the value is neither integer nor float.
template <class Visit>
bool visit_number(const GgufValue& value, uint64_t index, Visit visit) {
  switch (value.type) {
    case GgufValueType::kUint8:
      visit(element<uint8_t>(value, index));
      return true;
    case GgufValueType::kInt8:
      visit(element<int8_t>(value, index));
      return true;
    case GgufValueType::kUint16:
      visit(element<uint16_t>(value, index));
      return true;
    case GgufValueType::kInt16:
      visit(element<int16_t>(value, index));
      return true;
    case GgufValueType::kUint32:
      visit(element<uint32_t>(value, index));
      return true;
    case GgufValueType::kInt32:
      visit(element<int32_t>(value, index));
      return true;
    case GgufValueType::kUint64:
      visit(element<uint64_t>(value, index));
      return true;
    case GgufValueType::kInt64:
      visit(element<int64_t>(value, index));
      return true;
    case GgufValueType::kFloat32:
      visit(element<float>(value, index));
      return true;
    case GgufValueType::kFloat64:
      visit(element<double>(value, index));
      return true;
    default:
      return false;
  }
}

std::optional<int64_t> integer_at(const GgufValue& value, uint64_t index) {
  std::optional<int64_t> result;
  visit_number(value, index, [&](auto stored) {
    if constexpr (std::is_integral_v<decltype(stored)>) {
      if (std::in_range<int64_t>(stored)) result = static_cast<int64_t>(stored);
    }
  });
  return result;
}

std::optional<double> number_at(const GgufValue& value, uint64_t index) {
  std::optional<double> result;
  visit_number(value, index, [&](auto stored) { result = static_cast<double>(stored); });
  return result;
}

std::string five_digits(int number) {
  const std::string digits = std::to_string(number);
  return std::string(5 - digits.size(), '0') + digits;
}

// "…-00001-of-00003.gguf" → the paths of all three; std::nullopt if the name does not end like that.
std::optional<std::vector<std::filesystem::path>> split_paths(const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  constexpr size_t kSuffixLength = sizeof("-00001-of-00003.gguf") - 1;
  int number = 0, count = 0, length = 0;
  if (name.size() < kSuffixLength) return std::nullopt;
  const std::string stem = name.substr(0, name.size() - kSuffixLength);
  const std::string suffix = name.substr(stem.size());
  if (std::sscanf(suffix.c_str(), "-%5d-of-%5d.gguf%n", &number, &count, &length) != 2 ||
      static_cast<size_t>(length) != kSuffixLength || number != 1 || count < 1) {
    return std::nullopt;
  }
  std::vector<std::filesystem::path> paths;
  for (int part = 1; part <= count; ++part) {
    paths.push_back(path.parent_path() / (stem + "-" + five_digits(part) + "-of-" + five_digits(count) + ".gguf"));
  }
  return paths;
}

}  // namespace

GgufFile::GgufFile(const std::filesystem::path& path) : state_(std::make_unique<State>()) {
  state_->files.emplace_back(path);
  state_->header = read_gguf_header(state_->files.front());
  const int64_t num_files = find_integer("split.count").value_or(1);
  if (num_files <= 1) return;

  const auto paths = split_paths(path);
  if (!paths || static_cast<int64_t>(paths->size()) != num_files || find_integer("split.no").value_or(0) != 0) {
    throw std::runtime_error(path.string() + ": is one of a set of " + std::to_string(num_files) +
                             " files (split.count); give the first, whose name ends in -00001-of-0000N.gguf");
  }
  for (size_t part = 1; part < paths->size(); ++part) {
    const MappedFile& file = state_->files.emplace_back((*paths)[part]);
    for (auto& [name, tensor] : read_gguf_header(file).tensors) {
      if (!state_->header.tensors.emplace(name, std::move(tensor)).second) {
        throw std::runtime_error(file.path().string() + ": tensor '" + name +
                                 "' is also in an earlier file of the set");
      }
    }
  }
  const auto num_tensors = static_cast<int64_t>(tensors().size());
  if (find_integer("split.tensors.count").value_or(num_tensors) != num_tensors) {
    throw state_->refuse("split.tensors.count", "is " + std::to_string(*find_integer("split.tensors.count")) +
                                                    " but the files hold " + std::to_string(num_tensors) + " tensors");
  }
}

GgufFile::~GgufFile() = default;

const std::filesystem::path& GgufFile::path() const { return state_->files.front().path(); }

std::optional<int64_t> GgufFile::find_integer(std::string_view key) const {
  const GgufValue* value = state_->find(key, false);
  if (value == nullptr) return std::nullopt;
  const auto result = integer_at(*value, 0);
  if (!result) throw state_->refuse(key, std::string("must be an integer, not ") + gguf_type_name(value->type));
  return result;
}

std::optional<double> GgufFile::find_number(std::string_view key) const {
  const GgufValue* value = state_->find(key, false);
  if (value == nullptr) return std::nullopt;
  const auto result = number_at(*value, 0);
  if (!result) throw state_->refuse(key, std::string("must be a number, not ") + gguf_type_name(value->type));
  return result;
}

std::optional<bool> GgufFile::find_bool(std::string_view key) const {
  const GgufValue* value = state_->find(key, false);
  if (value == nullptr) return std::nullopt;
  if (value->type != GgufValueType::kBool) {
    throw state_->refuse(key, std::string("must be a bool, not ") + gguf_type_name(value->type));
  }
  return element<uint8_t>(*value, 0) != 0;
}

std::optional<std::string_view> GgufFile::find_string(std::string_view key) const {
  const GgufValue* value = state_->find(key, false);
  if (value == nullptr) return std::nullopt;
  if (value->type != GgufValueType::kString) {
    throw state_->refuse(key, std::string("must be a string, not ") + gguf_type_name(value->type));
  }
  return value->bytes.substr(sizeof(uint64_t));
}

std::optional<std::vector<int64_t>> GgufFile::find_integers(std::string_view key) const {
  const GgufValue* value = state_->find(key, true);
  if (value == nullptr) return std::nullopt;
  std::vector<int64_t> result;
  for (uint64_t i = 0; i < value->count; ++i) {
    const auto integer = integer_at(*value, i);
    if (!integer) throw state_->refuse(key, "must hold integers");
    result.push_back(*integer);
  }
  return result;
}

std::optional<std::vector<double>> GgufFile::find_numbers(std::string_view key) const {
  const GgufValue* value = state_->find(key, true);
  if (value == nullptr) return std::nullopt;
  std::vector<double> result;
  for (uint64_t i = 0; i < value->count; ++i) {
    const auto number = number_at(*value, i);
    if (!number) throw state_->refuse(key, "must hold numbers");
    result.push_back(*number);
  }
  return result;
}

std::optional<std::vector<std::string_view>> GgufFile::find_strings(std::string_view key) const {
  const GgufValue* value = state_->find(key, true);
  if (value == nullptr) return std::nullopt;
  if (value->type != GgufValueType::kString) throw state_->refuse(key, "must hold strings");
  std::vector<std::string_view> result;
  result.reserve(value->count);
  std::string_view rest = value->bytes;
  for (uint64_t i = 0; i < value->count; ++i) {
    uint64_t length;
    std::memcpy(&length, rest.data(), sizeof length);
    result.push_back(rest.substr(sizeof length, length));
    rest.remove_prefix(sizeof length + length);
  }
  return result;
}

const std::map<std::string, GgufTensor, std::less<>>& GgufFile::tensors() const { return state_->header.tensors; }

const GgufTensor* GgufFile::find_tensor(std::string_view name) const {
  const auto found = tensors().find(name);
  return found == tensors().end() ? nullptr : &found->second;
}

}  // namespace moebench
