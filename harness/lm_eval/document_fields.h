// doc_to_text, doc_to_target and doc_to_choice of a task, applied to its documents.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "harness/lm_eval/jinja_template.h"
#include "harness/lm_eval/task_definition.h"

namespace moebench {

// A rule made ready: its template is parsed once.
class CompiledRule {
 public:
  // What a template's text may be read as.
  struct Reading {
    bool numbers = false;  // only digits: a number
    bool lists = false;    // in brackets: a list, if it reads as one
  };

  // fields: the names of the evaluated documents' fields; a rule that is one of them is that field. what:
  // "doc_to_text", for messages. Throws std::runtime_error.
  CompiledRule(const DocumentRule& rule, const std::set<std::string>& fields, Reading reading, const std::string& what);

  // A string, an integer, a list or whatever the field is. Throws std::runtime_error.
  nlohmann::ordered_json apply(const nlohmann::ordered_json& document) const;

 private:
  nlohmann::ordered_json value_of(const nlohmann::ordered_json& document) const;

  DocumentRule rule_;
  bool is_field_;
  Reading reading_;
  std::string what_;
  std::optional<JinjaTemplate> template_;
};

// Text, target and choices of documents, as one set of rules gives them.
class DocumentRules {
 public:
  DocumentRules(const DocumentRule& text, const DocumentRule& target, const DocumentRule& choice,
                const std::set<std::string>& fields);

  nlohmann::ordered_json text(const nlohmann::ordered_json& document) const;    // a string, or a choice's place
  nlohmann::ordered_json target(const nlohmann::ordered_json& document) const;  // a string, a choice's place or a list
  std::vector<std::string> choices(const nlohmann::ordered_json& document) const;  // empty if the task has none

 private:
  CompiledRule text_, target_;
  std::optional<CompiledRule> choice_;
};

}  // namespace moebench
