#include "harness/commands/terminal_progress.h"

#include <unistd.h>
#include <chrono>
#include <iostream>

namespace moebench {
namespace {

double steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

SweepProgress terminal_progress() { return SweepProgress(std::cerr, isatty(STDERR_FILENO) == 1, steady_seconds); }

}  // namespace moebench
