// A template's source as tokens.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "harness/lm_eval/jinja_error.h"

namespace moebench {

struct JinjaToken {
  enum class Kind { kText, kOpenOutput, kCloseOutput, kOpenTag, kCloseTag, kName, kLiteral, kOperator, kEnd };

  Kind kind;
  std::string text;              // of text, a name, an operator; of others how the source spells it
  nlohmann::ordered_json value;  // of a literal: string, integer or float
  JinjaPosition position;
};

// White space that '-' takes and comments are gone. Ends with kEnd. Throws std::runtime_error with line and column.
std::vector<JinjaToken> lex_template(const std::string& source);
// The tokens of one bare expression.
std::vector<JinjaToken> lex_expression(const std::string& source);

}  // namespace moebench
