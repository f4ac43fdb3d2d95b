// What charts of quality have in common: rows of one parent, their points, their names and styles.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "results/chart.h"
#include "results/table.h"

namespace moebench {

using RowPointers = std::vector<const Row*>;  // into a table

// For each dense parent its rows, in the order of the table.
std::vector<RowPointers> rows_by_parent(const Table& table);

// Indices of the columns that say how good a model is: headline metrics with a better direction of tasks that measure
// neither time nor routing.
std::vector<size_t> quality_columns(const Table& table);

bool has_finite_value(const Row& row, size_t column);

// The row's mean at x, ± the deviation over seeds; the note says the shape and how many seeds.
ChartPoint point_of(const Row& row, size_t column, double x);

// Logarithmic where the series' values are above 0 and of different sizes.
Scale scale_of(const Chart& chart);

// "smollm2-135m", "smollm2-135m in bfloat16" where there are several types. rows: of one parent.
std::string parent_title(const Table& table, const RowPointers& rows);

// "wiki/gptq-2048/ppl ↓"
std::string axis_title(const Column& column);

// "100 M" where format_count has "100.0 M".
std::string round_count(double count);

// A series for each name: "llama_moe (split=random), oracle router", in the style that it has in all charts of a table.
class SeriesList {
 public:
  explicit SeriesList(const Table& table);

  // suffix: of the name, for what the chart tells apart beyond it. Valid until the next call.
  ChartSeries& of(const Row& row, const std::string& suffix = "");

  std::vector<ChartSeries> take();  // points ascending by x

 private:
  std::map<std::string, size_t> styles_;  // of each name without suffix
  std::vector<ChartSeries> series_;
  std::map<std::string, size_t> position_;
};

}  // namespace moebench
