// A task file of lm-evaluation-harness as data. YAML is read as PyYAML does (YAML 1.1: an unquoted no is false), and
// "!function module.name" becomes {"!function": "module.name"}.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace moebench {

// The file's keys in their order, those of its `include`s below its own. An include is looked for beside the file,
// then among the built-in files. Throws std::runtime_error naming file, line and key: not YAML, not a mapping, a key
// twice, an alias or a scalar that is not supported, an include that is missing or includes itself, more than 1 MiB.
nlohmann::ordered_json read_task_file(const std::filesystem::path& path);
nlohmann::ordered_json read_builtin_task_file(const std::string& name);

}  // namespace moebench
