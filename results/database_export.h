// Everything that a results database says, without its ids: the same lines from the same results, in whatever order and
// from however many databases they came together.
#pragma once

#include <functional>
#include <string>

#include "results/database.h"
#include "results/result_store.h"

namespace moebench {

struct RunContext {
  MachineRecord machine;
  BuildRecord build;
};

// Of the run with this uuid. Throws std::runtime_error if there is none.
RunContext read_context(const Database& database, const std::string& uuid);

// A JSON object a line, with its line end: every run, by uuid, with its config, machine, build, dataset, model,
// metrics, items and artifacts; then every baseline and every verdict. Text that is not UTF-8 has U+FFFD instead.
// database: at the current schema.
void export_json_lines(const Database& database, const std::function<void(const std::string&)>& write);

// A header, then a line for every metric of every run, and one for a run without metrics. Without items.
void export_csv(const Database& database, const std::function<void(const std::string&)>& write);

// SHA-256 of what export_json_lines writes: `moebench db export --db F | sha256sum`.
std::string database_content_hash(const Database& database);

}  // namespace moebench
