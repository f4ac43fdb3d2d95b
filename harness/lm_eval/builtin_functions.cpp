#include "harness/lm_eval/builtin_functions.h"

#include <array>
#include <stdexcept>
#include <string_view>

#include "harness/lm_eval/python_string.h"
#include "harness/lm_eval/wikitext.h"
#include "harness/text/unicode.h"

namespace moebench {
namespace {

using Json = nlohmann::ordered_json;

const Json& field(const Json& document, const char* name) {
  const auto found = document.find(name);
  if (found == document.end()) throw std::runtime_error(std::string("field '") + name + "' is missing");
  return *found;
}

const std::string& text_field(const Json& document, const char* name) {
  const Json& value = field(document, name);
  if (!value.is_string()) throw std::runtime_error(std::string("field '") + name + "' is not a string");
  return value.get_ref<const std::string&>();
}

// re.sub("\[.*?\]", "", text): the dot matches no '\n'.
std::string without_brackets(std::string_view text) {
  std::string cleaned;
  while (true) {
    const size_t begin = text.find('[');
    if (begin == std::string_view::npos) return cleaned.append(text);
    const size_t end = text.find_first_of("]\n", begin);
    const bool closes = end != std::string_view::npos && text[end] == ']';
    cleaned.append(text.substr(0, closes ? begin : begin + 1));
    text.remove_prefix(closes ? end + 1 : begin + 1);
  }
}

std::string hellaswag_clean(std::string_view text) {
  return replace_all(without_brackets(replace_all(strip(text), " [title]", ". ")), "  ", " ");
}

// The document with query and choices.
Json hellaswag_process_docs(const Json& document) {
  Json processed = document;
  const std::string& label = text_field(document, "label");
  if (!is_digits(label)) throw std::runtime_error("field 'label' is not a number");
  processed["query"] = hellaswag_clean(text_field(document, "activity_label") + ": " + text_field(document, "ctx_a") +
                                       " " + capitalize(text_field(document, "ctx_b")));
  Json& choices = processed["choices"] = Json::array();
  for (const Json& ending : field(document, "endings")) choices.push_back(hellaswag_clean(ending.get<std::string>()));
  processed["gold"] = std::stoi(label);
  return processed;
}

size_t winogrande_blank(const Json& document) {
  const size_t blank = text_field(document, "sentence").find('_');
  if (blank == std::string::npos) throw std::runtime_error("field 'sentence' has no '_'");
  return blank;
}

// Which of the two contexts is right: partial scoring has the choices before the text that is scored.
Json winogrande_doc_to_text(const Json& document) {
  const std::string& answer = text_field(document, "answer");
  if (answer != "1" && answer != "2") throw std::runtime_error("field 'answer' is neither \"1\" nor \"2\"");
  return answer == "2" ? 1 : 0;
}

Json winogrande_doc_to_target(const Json& document) {
  const std::string_view sentence = text_field(document, "sentence");
  return std::string(strip(sentence.substr(winogrande_blank(document) + 1)));
}

Json winogrande_doc_to_choice(const Json& document) {
  const std::string before = text_field(document, "sentence").substr(0, winogrande_blank(document));
  return {before + text_field(document, "option1"), before + text_field(document, "option2")};
}

Json logiqa_doc_to_text(const Json& document) {
  std::string prompt = "Passage: " + text_field(document, "context") +
                       "\nQuestion: " + text_field(document, "question") + "\nChoices:\n";
  const Json& options = field(document, "options");
  for (size_t option = 0; option < std::min<size_t>(4, options.size()); ++option) {
    prompt += std::string(1, "ABCD"[option]) + ". " + options[option].get<std::string>() + "\n";
  }
  return prompt + "Answer:";
}

Json logiqa_doc_to_target(const Json& document) {
  const std::string_view label = strip(text_field(document, "label"));
  const size_t place = std::string_view("abcd").find(label);
  if (label.size() != 1 || place == std::string_view::npos)
    throw std::runtime_error("field 'label' is not a, b, c or d");
  return place;
}

std::string copa_choice(const std::string& choice) {
  if (choice.empty()) throw std::runtime_error("a choice is empty");
  const size_t length = character_length(choice[0]);
  return " " + lower(choice.substr(0, length)) + choice.substr(length);
}

Json copa_doc_to_text(const Json& document) {
  const std::string& question = text_field(document, "question");
  if (question != "cause" && question != "effect") {
    throw std::runtime_error("field 'question' is neither cause nor effect");
  }
  std::string premise(strip(text_field(document, "premise")));
  while (!premise.empty() && (premise.back() & 0xC0) == 0x80) premise.pop_back();
  if (!premise.empty()) premise.pop_back();  // the full stop
  return premise + (question == "cause" ? " because" : " therefore");
}

Json copa_doc_to_choice(const Json& document) {
  return {copa_choice(text_field(document, "choice1")), copa_choice(text_field(document, "choice2"))};
}

Json copa_doc_to_target(const Json& document) {
  return copa_choice(text_field(document, field(document, "label") == 0 ? "choice1" : "choice2"));
}

Json wikitext_target(const Json& document) { return detokenised_wikitext(text_field(document, "page")); }

// What lm-eval's function of this name does is in the metrics of rolling tasks: words and bytes of the raw page.
Json wikitext_process_results(const Json&) {
  throw std::logic_error("wikitext.process_results is not applied to documents");
}

struct BuiltinFunction {
  std::string_view name, lm_eval_name, dataset_path;
  Json (*call)(const Json&);
};

constexpr std::array<BuiltinFunction, 11> kFunctions = {{
    {"hellaswag.process_docs", "utils.process_docs", "Rowan/hellaswag", hellaswag_process_docs},
    {"winogrande.doc_to_text", "preprocess_winogrande.doc_to_text", "allenai/winogrande", winogrande_doc_to_text},
    {"winogrande.doc_to_target", "preprocess_winogrande.doc_to_target", "allenai/winogrande", winogrande_doc_to_target},
    {"winogrande.doc_to_choice", "preprocess_winogrande.doc_to_choice", "allenai/winogrande", winogrande_doc_to_choice},
    {"logiqa.doc_to_text", "utils_logiqa.doc_to_text", "EleutherAI/logiqa", logiqa_doc_to_text},
    {"logiqa.doc_to_target", "utils_logiqa.doc_to_target", "EleutherAI/logiqa", logiqa_doc_to_target},
    {"copa.doc_to_text", "utils.doc_to_text", "aps/super_glue", copa_doc_to_text},
    {"copa.doc_to_target", "utils.doc_to_target", "aps/super_glue", copa_doc_to_target},
    {"copa.doc_to_choice", "utils.doc_to_choice", "aps/super_glue", copa_doc_to_choice},
    {"wikitext.detokenize", "preprocess_wikitext.wikitext_detokenizer", "EleutherAI/wikitext_document_level",
     wikitext_target},
    {"wikitext.process_results", "preprocess_wikitext.process_results", "EleutherAI/wikitext_document_level",
     wikitext_process_results},
}};

}  // namespace

std::string builtin_function_name(const std::string& name, const std::string& dataset_path) {
  std::string known;
  for (const BuiltinFunction& function : kFunctions) {
    const bool is_lm_evals = name == function.lm_eval_name && dataset_path == function.dataset_path;
    if (name == function.name || is_lm_evals) return std::string(function.name);
    known += " " + std::string(function.name);
  }
  throw std::runtime_error("!function " + name + " is Python and not built in; these are:" + known +
                           "; a template may say the same");
}

Json call_builtin_function(const std::string& name, const Json& document) {
  for (const BuiltinFunction& function : kFunctions) {
    if (name == function.name) return function.call(document);
  }
  throw std::invalid_argument("no built-in function '" + name + "'");
}

}  // namespace moebench
