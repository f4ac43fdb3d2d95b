// What a table says in a few sentences.
#pragma once

#include <string>
#include <vector>

#include "results/table.h"

namespace moebench {

// For each dense parent: what was compared, then for each active ratio and retraining the best method by the first
// quality column, beside the dense parent and the best control of the same size and retraining; and what a layer of it
// costs in time, where that was measured. Plain text.
std::vector<std::string> summary_sentences(const Table& table);

}  // namespace moebench
