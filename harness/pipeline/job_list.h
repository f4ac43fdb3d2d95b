// What the processes of a sweep are at, for whoever asks while they run.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace moebench {

struct RunningJob {
  std::string label;
  std::filesystem::path log;
  double started = 0;  // seconds since the epoch
};

// The last line of a log that is not empty; "" if there is none.
std::string last_line(const std::filesystem::path& log);

// A file in the folder, whole at any moment.
class JobList {
 public:
  // Creates the folder. Throws TryAgainError if it cannot be written.
  explicit JobList(const std::filesystem::path& folder);
  ~JobList();  // nobody runs any more
  JobList(const JobList&) = delete;
  JobList& operator=(const JobList&) = delete;

  void add(size_t id, const RunningJob& job);
  void remove(size_t id);

  // None where there is no list, or no sound one.
  static std::vector<RunningJob> read(const std::filesystem::path& folder);

 private:
  void write() const;

  std::filesystem::path folder_;
  std::map<size_t, RunningJob> running_;
};

}  // namespace moebench
