// What every run is recorded with: who it is, when, on which machine, from which build.
#pragma once

#include <string>

#include "harness/pipeline/cell.h"
#include "results/result_store.h"

namespace moebench {

double seconds_since_epoch();

std::string random_uuid();  // RFC 4122, version 4

// A record of the cell that began at `started` and ends now, completed unless error says why not.
RunRecord make_run(const SweepCell& cell, double started, const std::string& error = "");

MachineRecord this_machine();
BuildRecord this_build();

}  // namespace moebench
