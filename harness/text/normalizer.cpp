#include "harness/text/normalizer.h"

#include <stdexcept>

#include "harness/text/pattern.h"
#include "harness/text/unicode.h"

namespace moebench {

Normalizer::Normalizer(const nlohmann::json& json) {
  if (!json.is_null()) add(json);
}

void Normalizer::add(const nlohmann::json& json) {
  const std::string type = string_field(json, "type", "normalizer");
  if (type == "NFC") {
    steps_.push_back([](std::string text) { return to_nfc(text); });
  } else if (type == "Prepend") {
    steps_.push_back([prefix = string_field(json, "prepend", "normalizer Prepend")](std::string text) {
      return text.empty() ? text : prefix + text;
    });
  } else if (type == "Replace") {
    steps_.push_back([pattern = pattern_field(json, "normalizer Replace"),
                      content = string_field(json, "content", "normalizer Replace")](std::string text) {
      RegexSearch search(pattern);
      return replace_all(text, search, content);
    });
  } else if (type == "Sequence") {
    const nlohmann::json& parts = json_field(json, "normalizers", "normalizer Sequence");
    if (!parts.is_array()) throw std::runtime_error("normalizer Sequence: 'normalizers' must be an array");
    for (const nlohmann::json& part : parts) add(part);
  } else {
    throw std::runtime_error("normalizer: type '" + type + "' is not supported; known: NFC Prepend Replace Sequence");
  }
}

std::string Normalizer::normalize(std::string text) const {
  for (const auto& step : steps_) text = step(std::move(text));
  return text;
}

}  // namespace moebench
