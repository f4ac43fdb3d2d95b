// What lm-eval prints after a run.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

namespace moebench {

// "hf (pretrained=…), gen_kwargs: (None), limit: None, num_fewshot: None, batch_size: 8". limit is a float there.
std::string console_header(const std::string& model, const std::string& model_args, std::optional<double> limit,
                           std::optional<int64_t> num_fewshot, const std::string& batch_size);

enum class TableContent { kTasks, kGroups };

// lm-eval's Markdown table of a results file's "results" or "groups" (make_table): groups before their tasks, indented,
// a row a metric, sorted. Four decimals everywhere: lm-eval's writer drops zeros by columns, its numbers are the same.
// Empty if the file has no groups.
std::string console_table(const nlohmann::ordered_json& results, TableContent content);

}  // namespace moebench
