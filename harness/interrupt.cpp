#include "harness/interrupt.h"

#include <unistd.h>
#include <csignal>
#include <string_view>

namespace moebench {
namespace {

volatile std::sig_atomic_t pending_signal = 0;

void note_signal(int signal) {
  pending_signal = signal;
  constexpr std::string_view kMessage = "\nstopping at the next safe point; once more to stop at once\n";
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, kMessage.data(), kMessage.size());
  // Both, so that a SIGTERM after Ctrl-C kills too.
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

}  // namespace

void handle_interrupts() {
  struct sigaction action = {};
  action.sa_handler = note_signal;
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

void throw_if_interrupted() {
  if (pending_signal != 0) throw Interrupted(pending_signal);
}

}  // namespace moebench
