// Which columns a table of these runs has, and which run's which metric goes into each.
#pragma once

#include <string>
#include <vector>

#include "results/run_description.h"
#include "results/table.h"

namespace moebench {

struct BenchColumn {
  std::string bench;
  Column column;
};

// Accounting of parameters first, then tasks in order of first appearance, conversion last. A task that only ever
// failed has one column, named by the task.
std::vector<BenchColumn> make_columns(const std::vector<DescribedRun>& runs);

// Sets detail and distinction: what tells columns of one metric from each other.
void tell_apart(std::vector<BenchColumn>& columns);

// The column's metric in a run of its bench; null if it has none.
const Metric* find_metric(const DescribedRun& run, const Column& column);

// A sentence for each task whose rows were not all measured on the same text.
std::vector<std::string> data_warnings(const std::vector<DescribedRun>& runs);

}  // namespace moebench
