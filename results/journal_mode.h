// How a database file is written while a store has it open: readers and a writer at once where the file system can.
#pragma once

#include "results/database.h"

namespace moebench {

// Write-ahead log for a local file, a rollback journal on a network file system, whose locks do not carry the former.
// Either is right, so a refusal (another process is just switching) is not an error.
void use_write_ahead_log(const Database& database);

// Before closing: the last writer out leaves one plain file, which can be read from a read-only folder and copied.
void leave_write_ahead_log(const Database& database);

}  // namespace moebench
