// Which points a sweep has: a method's matrix, and what is left out.
#pragma once

#include <vector>

#include "harness/pipeline/sweep_spec.h"
#include "harness/pipeline/toml_table.h"

namespace moebench {

// One method for each point of the table's `matrix`: every value of one list with every value of the others, lists that
// `zip` names side by side. Throws std::invalid_argument naming file, line and field.
std::vector<MethodSpec> points_of(TomlTable& table, const MethodSpec& method);

// A table [[exclude]].
ExcludeSpec read_exclude(TomlTable& table);

}  // namespace moebench
