// Which row of a table a user means by a short name.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "results/run_description.h"
#include "results/table.h"

namespace moebench {

struct SelectedRow {
  const Row* row = nullptr;     // of the table
  std::optional<int64_t> seed;  // where a run was named
};

// name: "dense", "cmoe", or narrowed by what must all be true of the row: "cmoe:S3A3E8:oracle", with a shape, a model,
// a dtype, an option ("criterion=rate"), "oracle", "retrained" or "retrained=<tokens>"; or the uuid of a measurement.
// Unless they are asked for, rows with an oracle router or retraining are only meant where there are no others. table:
// of these runs; only rows with a completed measurement can be meant. Throws std::invalid_argument that lists what
// there is, if name means no row or several.
SelectedRow select_row(const std::string& name, const Table& table, const std::vector<DescribedRun>& runs);

}  // namespace moebench
