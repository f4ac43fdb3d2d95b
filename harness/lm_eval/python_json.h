// JSON as Python's json.dumps prints it, character for character: hashes of it are compared with lm-eval's.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace moebench {

struct PythonJsonStyle {
  bool ensure_ascii = true;  // everything but printable ASCII as \uXXXX, characters beyond U+FFFF as a surrogate pair
  int indent = -1;           // negative: one line, ", " between items; else one item a line, so many spaces a level
};

// Keys in their order. Floats as repr(float); those that JSON has no word for as NaN, Infinity, -Infinity.
// Strings must be UTF-8, nesting no deeper than 900: throws std::invalid_argument.
std::string python_json(const nlohmann::ordered_json& value, const PythonJsonStyle& style = {});

// repr(float): the shortest digits that read back as the same double; scientific below 1e-4 and from 1e16 on.
std::string python_repr(double value);

// SHA-256, lower-case hex, of a document as lm-eval hashes it for its samples file: indent 2, non-ASCII kept.
std::string document_hash(const nlohmann::ordered_json& document);

}  // namespace moebench
