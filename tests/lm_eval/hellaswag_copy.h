// HellaSwag from the shared, preprocessed copy: its ctx stands for ctx_a, ctx_b is empty.
#pragma once

#include <cstddef>
#include <fstream>
#include <string>

#include <nlohmann/json.hpp>

#include "tests/lm_eval/task_data_fixture.h"

namespace moebench {

// Lines of a validation.jsonl, of the first documents.
inline std::string hellaswag_copy(size_t num_documents) {
  std::ifstream file(kSharedData / "tasks" / "hellaswag" / "validation.preprocessed.jsonl");
  std::string lines, line;
  for (size_t number = 0; number < num_documents && std::getline(file, line); ++number) {
    nlohmann::ordered_json document = nlohmann::ordered_json::parse(line);
    document["ctx_a"] = document["ctx"];
    document["ctx_b"] = "";
    lines += document.dump() + "\n";
  }
  return lines;
}

}  // namespace moebench
