// What happens to text before it is cut: the "normalizer" of tokenizer.json.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace moebench {

class Normalizer {
 public:
  // json: null, or an object of type NFC, Prepend, Replace or Sequence. Throws std::runtime_error naming any other.
  explicit Normalizer(const nlohmann::json& json);
  std::string normalize(std::string text) const;

 private:
  void add(const nlohmann::json& json);

  std::vector<std::function<std::string(std::string)>> steps_;
};

}  // namespace moebench
