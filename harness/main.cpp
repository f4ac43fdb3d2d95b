#include <unistd.h>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "harness/commands/program.h"
#include "harness/model/allocation.h"

namespace {

// OpenMP's threads wait for each other by spinning for milliseconds unless told otherwise before they are loaded. On a
// machine that others use, too, that multiplies the time of everything; but a thread that sleeps at once takes longer
// to wake than a layer of a small model takes for one token. So the program asks for some tens of microseconds and
// starts itself again, once; who has an opinion says it in the environment.
void let_waiting_threads_sleep_soon(char** arguments) {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr || std::getenv("GOMP_SPINCOUNT") != nullptr) return;
  setenv("GOMP_SPINCOUNT", "3000", 0);
  // By its own path, so that it keeps its name. Returns only if it cannot, and then the program is merely slower.
  std::error_code ignored;
  execv(std::filesystem::read_symlink("/proc/self/exe", ignored).c_str(), arguments);
}

}  // namespace

int main(int argument_count, char** arguments) {
  let_waiting_threads_sleep_soon(arguments);
  moebench::keep_freed_memory();
  return moebench::run_program(argument_count, arguments);
}
