// Ctrl-C and SIGTERM as an exception at a safe point, so that nothing is left half-written.
#pragma once

#include <exception>

namespace moebench {

// Not a std::runtime_error: a sweep that turns errors into failed rows must not swallow it.
class Interrupted : public std::exception {
 public:
  explicit Interrupted(int signal) : signal_(signal) {}
  const char* what() const noexcept override { return "interrupted"; }
  int exit_code() const { return 128 + signal_; }

 private:
  int signal_;
};

// For a command that has safe points: from now on the first SIGINT or SIGTERM only sets a flag; a second kills at once.
// Commands that do not call this are simply killed.
void handle_interrupts();

// A safe point, cheap enough for every progress callback. Throws Interrupted once a signal has come.
void throw_if_interrupted();

}  // namespace moebench
