// Numbers that papers and repositories publish, for a look beside measured ones. They are quoted, not measured: other
// evaluation code, other calibration text, other items. Renderers show them in a table of their own, every value
// marked.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace moebench {

struct PublishedNumber {
  const char* model;
  const char* method;
  const char* configuration;    // shape or share of active neurons, as the source says
  const char* training_tokens;  // after conversion: "0", "4 M"
  const char* metric;
  const char* value;     // as printed there, with its deviation if it has one
  const char* protocol;  // as far as the source says
  const char* source;    // and where in it
};

// Grouped by model.
std::span<const PublishedNumber> published_numbers();

constexpr const char* kPublishedMark = "§";
constexpr const char* kPublishedSentence =
    "§ Quoted from the source named, not measured here: other evaluation code, texts and items, so compare within one "
    "source only.";

// As a table of texts: model, method, configuration, training tokens, metric, value with its mark, protocol, source.
std::vector<std::string> published_header();
std::vector<std::vector<std::string>> published_rows();

}  // namespace moebench
