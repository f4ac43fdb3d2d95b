// Opening a results database, whoever does it.
#pragma once

#include <chrono>
#include <filesystem>

#include "results/database.h"

namespace moebench {

// At the current schema: brought there if writing, refused if reading. Throws as ResultStore's constructor does.
Database open_results(const std::filesystem::path& path, OpenMode mode,
                      std::chrono::milliseconds lock_timeout = std::chrono::seconds(30));

// Whether nothing was ever written to it: no such file, or one that its maker, killed, left empty.
// Throws as Database's constructor does.
bool is_unwritten(const std::filesystem::path& path);

}  // namespace moebench
