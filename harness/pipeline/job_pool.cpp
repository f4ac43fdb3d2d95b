#include "harness/pipeline/job_pool.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cerrno>
#include <chrono>
#include <limits>
#include <system_error>
#include <thread>

#include "harness/error.h"

extern char** environ;

namespace moebench {
namespace {

double steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// posix_spawn's lists of what to do between the processes.
struct SpawnSettings {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;

  explicit SpawnSettings(const std::filesystem::path& log) {
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0666);
    posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
    // A group of its own: Ctrl-C is for the one that leads, which tells the others.
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    posix_spawnattr_setpgroup(&attributes, 0);
  }
  ~SpawnSettings() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;
};

}  // namespace

JobPool::~JobPool() {
  send(SIGKILL);
  while (!running_.empty()) wait(1);
}

void JobPool::start(size_t id, const Job& job) {
  std::vector<char*> arguments;
  for (const std::string& argument : job.command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  const SpawnSettings settings(job.log);
  pid_t process = 0;
  const int error =
      posix_spawn(&process, arguments.front(), &settings.actions, &settings.attributes, arguments.data(), environ);
  if (error != 0) {
    const std::string message = job.command.front() + " with its log in " + job.log.string() + ": cannot be started (" +
                                std::generic_category().message(error) + ")";
    if (error == ENOENT && !std::filesystem::exists(job.command.front())) throw std::runtime_error(message);
    throw TryAgainError(message);
  }
  const double now = steady_seconds();
  const double deadline = job.timeout_seconds > 0 ? now + job.timeout_seconds : std::numeric_limits<double>::infinity();
  running_.push_back({id, process, now, deadline});
}

std::optional<JobEnd> JobPool::ended() {
  for (size_t index = 0; index < running_.size(); ++index) {
    Running& running = running_[index];
    if (steady_seconds() > running.deadline && !running.timed_out) {
      running.timed_out = true;
      kill(running.process, SIGKILL);
    }
    int status = 0;
    if (waitpid(running.process, &status, WNOHANG) != running.process) continue;
    const JobEnd end = {running.id, WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status),
                        running.timed_out, steady_seconds() - running.started};
    running_.erase(running_.begin() + static_cast<ptrdiff_t>(index));
    return end;
  }
  return std::nullopt;
}

std::optional<JobEnd> JobPool::wait(double seconds) {
  constexpr auto kPause = std::chrono::milliseconds(20);
  const double until = steady_seconds() + seconds;
  for (;;) {
    if (const auto end = ended()) return end;
    if (running_.empty() || steady_seconds() >= until) return std::nullopt;
    std::this_thread::sleep_for(kPause);
  }
}

void JobPool::send(int signal) const {
  for (const Running& running : running_) kill(running.process, signal);
}

}  // namespace moebench
