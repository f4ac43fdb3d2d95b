// The tables of the results database (a contract: other tools read them) and how a file comes to have them.
#pragma once

#include <span>
#include <string>

#include "results/database.h"

namespace moebench {

// "moeb" in the file's header: what `file` and we recognise it by.
constexpr int64_t kApplicationId = 0x6d6f6562;

// migrations()[v] takes a database from schema version v to v + 1. Never edited once released, only appended to.
std::span<const std::string> migrations();

// Brings the database to version migrations.size() in one transaction; nothing if it is there. Throws
// std::runtime_error for a database of a newer version or of another program.
void migrate(const Database& database, std::span<const std::string> migrations);

// Throws std::runtime_error unless the database has exactly the tables and indices that the migrations make, at their
// version, and no triggers. Further tables and views of the user's are none of our business.
void check_schema(const Database& database, std::span<const std::string> migrations);

}  // namespace moebench
