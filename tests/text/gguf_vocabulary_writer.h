// GGUF v3 files with a vocabulary and no tensors.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace moebench {

class GgufVocabularyWriter {
 public:
  void add_bool(std::string_view key, bool value) {
    add_key(key, 7);
    metadata_ += static_cast<char>(value);
  }
  void add_integer(std::string_view key, uint32_t value) {
    add_key(key, 4);
    append(value);
  }
  void add_string(std::string_view key, std::string_view value) {
    add_key(key, 8);
    append_string(value);
  }
  void add_strings(std::string_view key, const std::vector<std::string>& values) {
    add_array(key, 8, values.size());
    for (const std::string& value : values) append_string(value);
  }
  void add_integers(std::string_view key, const std::vector<int32_t>& values) {
    add_array(key, 5, values.size());
    for (const int32_t value : values) append(value);
  }
  void add_floats(std::string_view key, const std::vector<float>& values) {
    add_array(key, 6, values.size());
    for (const float value : values) append(value);
  }

  std::string bytes() const {
    GgufVocabularyWriter file;
    file.metadata_ = "GGUF";
    file.append(uint32_t{3});
    file.append(uint64_t{0});
    file.append(count_);
    return file.metadata_ + metadata_;
  }

 private:
  template <class Value>
  void append(Value value) {
    char raw[sizeof value];
    std::memcpy(raw, &value, sizeof value);
    metadata_.append(raw, sizeof value);
  }
  void append_string(std::string_view text) {
    append(uint64_t{text.size()});
    metadata_ += text;
  }
  void add_key(std::string_view key, uint32_t type) {
    append_string(key);
    append(type);
    ++count_;
  }
  void add_array(std::string_view key, uint32_t element_type, uint64_t size) {
    add_key(key, 9);
    append(element_type);
    append(size);
  }

  std::string metadata_;
  uint64_t count_ = 0;
};

}  // namespace moebench
