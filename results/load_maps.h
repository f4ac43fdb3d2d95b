// Expert load layer by layer, as the task expert_load stores it.
#pragma once

#include <vector>

#include "results/heat_map.h"
#include "results/table.h"

namespace moebench {

// One map for each row that has been measured and is no bound, in the order of the table; shares are means over seeds.
std::vector<LoadMap> load_maps(const Table& table);

}  // namespace moebench
