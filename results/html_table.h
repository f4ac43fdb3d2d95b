// Tables of a report in HTML.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "results/shown_table.h"

namespace moebench {

// The comparison, sortable: dense first, then a heading for each active size and retraining. anchors: the id of the
// element that says where a row's numbers come from.
std::string html_comparison(const ShownTable& shown, const std::map<const Row*, std::string>& anchors);

// Any table of texts. The first column is text, the others numbers where is_number.
std::string html_data_table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows,
                            bool is_number = true);

}  // namespace moebench
