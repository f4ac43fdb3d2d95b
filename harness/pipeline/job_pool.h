// Processes that work for this one, each with a log of its own: what one of them crashes of, the others do not.
#pragma once

#include <sys/types.h>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace moebench {

struct Job {
  std::vector<std::string> command;  // program and arguments
  std::filesystem::path log;         // stdout and stderr, appended
  double timeout_seconds = 0;        // after which it is killed; 0: never
};

struct JobEnd {
  size_t id = 0;
  int exit_code = 0;       // 128 + signal if a signal ended it
  bool timed_out = false;  // it was killed for that
  double seconds = 0;
};

class JobPool {
 public:
  JobPool() = default;
  ~JobPool();  // kills what is running
  JobPool(const JobPool&) = delete;
  JobPool& operator=(const JobPool&) = delete;

  // Throws std::runtime_error if there is no such program, TryAgainError if the system has no room for a process or the
  // log cannot be written.
  void start(size_t id, const Job& job);

  size_t num_running() const { return running_.size(); }

  // The next that has ended, or nothing after so many seconds.
  std::optional<JobEnd> wait(double seconds);

  // To all that are running.
  void send(int signal) const;

 private:
  struct Running {
    size_t id;
    pid_t process;
    double started, deadline;  // steady seconds
    bool timed_out = false;
  };
  std::optional<JobEnd> ended();

  std::vector<Running> running_;
};

}  // namespace moebench
