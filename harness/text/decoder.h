// From tokens back to text: the "decoder" of tokenizer.json.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace moebench {

class Decoder {
 public:
  // json: null (tokens are joined with spaces), or an object of type ByteLevel, ByteFallback, Fuse, Metaspace, Replace,
  // Strip or Sequence. Throws std::runtime_error naming any other.
  explicit Decoder(const nlohmann::json& json);

  // Always UTF-8: bytes that are not become U+FFFD.
  std::string decode(std::vector<std::string> tokens) const;

 private:
  void add(const nlohmann::json& json);

  std::vector<std::function<void(std::vector<std::string>&)>> steps_;
  bool join_with_spaces_;
};

}  // namespace moebench
