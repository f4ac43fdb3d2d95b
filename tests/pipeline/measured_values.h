// What a sweep found, to be compared with what another way to run it found.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include <gtest/gtest.h>

#include "results/result_store.h"

namespace moebench {

// By cell key and metric. A cell that failed fails the test.
inline std::map<std::string, double> measured_values(const std::filesystem::path& database) {
  std::map<std::string, double> values;
  for (const RunRecord& run : ResultStore(database, ResultStore::Mode::kReadOnly).runs()) {
    EXPECT_EQ(run.status, "completed") << run.error;
    if (run.stage != "measure") continue;
    for (const Metric& metric : run.metrics) values[run.cell_key + metric.name] = metric.value;
  }
  return values;
}

}  // namespace moebench
