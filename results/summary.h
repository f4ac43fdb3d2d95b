// What a database holds, for `moebench inspect`.
#pragma once

#include <nlohmann/json.hpp>

namespace moebench {

class Database;

// "schema_version", "runs" (by stage and status), "failures" (by reason), "items" and the names of "models", "methods",
// "metrics" (without the layers' own) and "machines", as valid UTF-8.
nlohmann::ordered_json read_summary(const Database& database);

}  // namespace moebench
