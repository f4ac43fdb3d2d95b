// The table that runs of a test's own make.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "results/comparison.h"
#include "tests/results/synthetic_runs.h"

namespace moebench {

class ComparisonTest : public testing::Test {
 protected:
  Table table() const { return compare_runs(runs_.runs()); }

  static std::vector<std::string> metrics(const Table& table) {
    std::vector<std::string> names;
    for (const Column& column : table.columns) names.push_back(column.metric);
    return names;
  }
  static std::vector<std::string> labels(const Table& table) {
    std::vector<std::string> names;
    for (const Row& row : table.rows) {
      names.push_back(row.about.model + ": " + row_label(row) + (row.about.is_dense() ? "" : " " + row.about.shape));
    }
    return names;
  }
  static const Cell& cell(const Table& table, size_t row, const std::string& metric) {
    for (size_t column = 0; column < table.columns.size(); ++column) {
      if (table.columns[column].metric == metric) return table.rows.at(row).cells[column];
    }
    throw std::logic_error("no column " + metric);
  }

  SyntheticRuns runs_;
};

}  // namespace moebench
