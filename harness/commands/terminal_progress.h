// Progress of a command on stderr.
#pragma once

#include "harness/pipeline/progress.h"

namespace moebench {

// Live on a terminal, plain lines otherwise.
SweepProgress terminal_progress();

}  // namespace moebench
