// The part of Jinja2 that lm-evaluation-harness's task files use (no C++ engine of it is packaged), with its settings
// there: undefined variables are errors, a trailing newline is kept, nothing is escaped for HTML.
//   {{ expression }}  {% if %} {% elif %} {% else %} {% endif %}  {% for x in y %} {% else %} {% endfor %}
//   {% set x = y %}  {# comment #}  and '-' to take the white space beside a tag
// Expressions: literals, fields, attributes, indices, slices, arithmetic, ~, comparisons, in, and, or, not, inline if,
// "is" tests, filters, and the methods of str, list and dict that jinja_calls.cpp lists. Integers have 64 bits.
// Templates and documents are not trusted: nesting, steps and output are bounded.
#pragma once

#include <memory>
#include <string>

#include <nlohmann/json.hpp>

namespace moebench {

struct JinjaNode;

class JinjaTemplate {
 public:
  // Throws std::runtime_error with line and column of the template.
  explicit JinjaTemplate(const std::string& source);

  // variables: an object. Throws std::runtime_error with line and column: an undefined variable, a wrong type, too
  // much of anything.
  std::string render(const nlohmann::ordered_json& variables) const;

 private:
  std::shared_ptr<const JinjaNode> root_;
};

// ast.literal_eval of a string, number, truth value, None or list of them (a tuple is a list).
// Throws std::runtime_error if it is anything else.
nlohmann::ordered_json parse_python_literal(const std::string& text);

}  // namespace moebench
