// A template as a tree.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "harness/lm_eval/jinja_error.h"

namespace moebench {

struct JinjaNode {
  enum class Kind {
    // Statements.
    kBlock,   // its children, one after another
    kText,    // value
    kOutput,  // [expression]
    kIf,      // [condition, then, else]
    kFor,     // name; [sequence, body, else]
    kSet,     // name; [expression]
    // Expressions.
    kLiteral,    // value
    kList,       // its children
    kName,       // name
    kAttribute,  // name; [object]
    kItem,       // [object, index]
    kSlice,      // [object, start, stop, step], None where left out
    kMethod,     // name; [object, arguments...]
    kFilter,     // name; [operand, arguments...]
    kTest,       // name; [operand]
    kNot,        // [operand]
    kMinus,      // [operand]
    kAnd,        // [left, right]
    kOr,         // [left, right]
    kChoice,     // [condition, then, else?]
    kBinary,     // name: the operator; [left, right]
  };

  Kind kind;
  JinjaPosition position;
  std::string name;
  nlohmann::ordered_json value;
  std::vector<JinjaNode> children;
};

// Throws std::runtime_error with line and column.
JinjaNode parse_template(const std::string& source);
JinjaNode parse_expression(const std::string& source);

}  // namespace moebench
