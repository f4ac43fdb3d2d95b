#include "results/table.h"

#include "results/distinction.h"

namespace moebench {

std::string row_label(const Row& row) {
  std::string label = row.about.method;
  if (!row.options.empty()) label += " (" + row.options + ")";
  if (row.kind == RowKind::kBound) label += row.about.is_oracle() ? " with oracle router (bound)" : " (bound)";
  return label + bracketed(row.distinction);
}

std::string row_title(const Row& row) {
  std::string title = row_label(row);
  if (!row.about.is_dense()) title += " " + row.about.shape;
  if (row.about.retrained_tokens == 0) return title;
  return title + " retrained on " + std::to_string(row.about.retrained_tokens) + " tokens (" +
         row.about.retrain_recipe + ")";
}

}  // namespace moebench
