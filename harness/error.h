// What went wrong decides the exit code.
//   std::invalid_argument   the caller's words, a config, a shape           → 2
//   std::runtime_error      a file or database that cannot be used          → 2
//   TryAgainError           a lock, a full or read-only disk                → 75
//   anything else           a run failed                                    → 4
// Every message names the subject, the value and the way out.
#pragma once

#include <stdexcept>

namespace moebench {

class TryAgainError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace moebench
