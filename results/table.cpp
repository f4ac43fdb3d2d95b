#include "results/table.h"

#include "results/distinction.h"

namespace moebench {

std::string row_label(const Row& row) {
  std::string label = row.about.method;
  if (!row.options.empty()) label += " (" + row.options + ")";
  if (row.kind == RowKind::kBound) label += " with oracle router (bound)";
  return label + bracketed(row.distinction);
}

}  // namespace moebench
