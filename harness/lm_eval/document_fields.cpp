#include "harness/lm_eval/document_fields.h"

#include <algorithm>
#include <stdexcept>

#include "harness/lm_eval/builtin_functions.h"
#include "harness/lm_eval/python_string.h"

namespace moebench {
namespace {

using Json = nlohmann::ordered_json;

bool is_plain_word(const std::string& source) {
  return !source.empty() &&
         source.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") ==
             std::string::npos &&
         !is_digits(source);
}

bool is_bracketed(const std::string& text) { return text.size() >= 2 && text.front() == '[' && text.back() == ']'; }

std::string joined(const std::set<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += " " + name;
  return text;
}

// A truth value counts as 0 or 1, as in Python.
Json as_number(Json value) { return value.is_boolean() ? Json(value.get<bool>() ? 1 : 0) : value; }

}  // namespace

CompiledRule::CompiledRule(const DocumentRule& rule, const std::set<std::string>& fields, Reading reading,
                           const std::string& what)
    : rule_(rule), is_field_(fields.contains(rule.source)), reading_(reading), what_(what) {
  if (!rule.constant.is_null() || !rule.function.empty() || is_field_) return;
  // To lm-eval a word that is no field is a text; that it is a misspelt field is likelier.
  if (is_plain_word(rule.source)) {
    throw std::runtime_error(what + ": '" + rule.source + "' is no field of the documents (they have:" +
                             joined(fields) + "); if it is a text, write \"{{'" + rule.source + "'}}\"");
  }
  try {
    template_.emplace(rule.source);
  } catch (const std::runtime_error& error) {
    throw std::runtime_error(what + ": " + error.what());
  }
}

Json CompiledRule::apply(const Json& document) const {
  try {
    return value_of(document);
  } catch (const std::exception& error) {
    throw std::runtime_error(what_ + ": " + error.what());
  }
}

Json CompiledRule::value_of(const Json& document) const {
  if (!rule_.constant.is_null()) return rule_.constant;
  if (!rule_.function.empty()) return call_builtin_function(rule_.function, document);
  if (is_field_) {
    const auto found = document.find(rule_.source);
    if (found == document.end()) throw std::runtime_error("field '" + rule_.source + "' is missing");
    return *found;
  }
  const std::string text = template_->render(document);
  if (reading_.numbers && is_digits(text)) return parse_python_literal(text);
  if (!reading_.lists || !is_bracketed(text)) return text;
  try {
    return parse_python_literal(text);
  } catch (const std::runtime_error&) {
    return text;
  }
}

DocumentRules::DocumentRules(const DocumentRule& text, const DocumentRule& target, const DocumentRule& choice,
                             const std::set<std::string>& fields)
    : text_(text, fields, {.numbers = choice.is_given}, "doc_to_text"),
      target_(target, fields, {.numbers = choice.is_given, .lists = true}, "doc_to_target") {
  if (choice.is_given) choice_.emplace(choice, fields, CompiledRule::Reading{.lists = true}, "doc_to_choice");
}

Json DocumentRules::text(const Json& document) const { return as_number(text_.apply(document)); }
Json DocumentRules::target(const Json& document) const { return as_number(target_.apply(document)); }

std::vector<std::string> DocumentRules::choices(const Json& document) const {
  if (!choice_) return {};
  const Json choices = choice_->apply(document);
  const bool is_right = choices.is_array() && !choices.empty() &&
                        std::all_of(choices.begin(), choices.end(), [](const Json& item) { return item.is_string(); });
  if (!is_right) throw std::runtime_error("doc_to_choice: must give a list of texts, not " + choices.dump());
  return choices.get<std::vector<std::string>>();
}

}  // namespace moebench
