// Where every number comes from, in HTML.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "results/result_store.h"
#include "results/table.h"

namespace moebench {

struct HtmlProvenance {
  std::map<const Row*, std::string> anchors;  // of each row the id of its part
  std::string html;  // one <details> a row: texts, the commands that make its numbers again, the runs that made them
};

// runs: those that the table was made of.
HtmlProvenance html_provenance(const Table& table, const std::vector<RunRecord>& runs);

}  // namespace moebench
