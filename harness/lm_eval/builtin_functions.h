// The Python functions that task files name with !function, as far as they are built in: of HellaSwag, WinoGrande,
// LogiQA, COPA and WikiText-2, after lm-eval's own (lm_eval/tasks/**/utils*.py and preprocess*.py).
#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace moebench {

// The built-in function that "module.name" means in a task on this data set: its own name ("hellaswag.process_docs"),
// or lm-eval's in lm-eval's file ("utils.process_docs" with dataset_path Rowan/hellaswag). Throws std::runtime_error
// that lists the built-in ones.
std::string builtin_function_name(const std::string& name, const std::string& dataset_path);

// doc_to_text, doc_to_target, doc_to_choice (a string, an integer or a list) and process_docs (the document with more
// fields), applied to one document. Throws std::runtime_error if a field is missing or not what it must be.
nlohmann::ordered_json call_builtin_function(const std::string& name, const nlohmann::ordered_json& document);

}  // namespace moebench
