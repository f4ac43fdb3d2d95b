#include "harness/pipeline/job_list.h"

#include <fstream>

#include <nlohmann/json.hpp>

#include "harness/atomic_file.h"
#include "harness/error.h"

namespace moebench {
namespace {

std::filesystem::path list_of(const std::filesystem::path& folder) { return folder / "running.json"; }

}  // namespace

std::string last_line(const std::filesystem::path& log) {
  std::ifstream stream(log);
  std::string last;
  for (std::string line; std::getline(stream, line);) {
    if (!line.empty()) last = line;
  }
  return last;
}

JobList::JobList(const std::filesystem::path& folder) : folder_(folder) {
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  if (error) throw TryAgainError(folder_.string() + ": cannot be created (" + error.message() + ")");
}

JobList::~JobList() {
  std::error_code ignored;
  std::filesystem::remove(list_of(folder_), ignored);
}

void JobList::add(size_t id, const RunningJob& job) {
  running_[id] = job;
  write();
}

void JobList::remove(size_t id) {
  running_.erase(id);
  write();
}

void JobList::write() const {
  nlohmann::json list = nlohmann::json::array();
  for (const auto& [id, job] : running_) {
    list.push_back({{"label", job.label}, {"log", job.log.filename().string()}, {"started", job.started}});
  }
  AtomicFile file(list_of(folder_));
  file.write(list.dump(1) + "\n");
  file.commit();
}

std::vector<RunningJob> JobList::read(const std::filesystem::path& folder) {
  std::ifstream file(list_of(folder));
  const nlohmann::json list = nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false);
  std::vector<RunningJob> jobs;
  if (!list.is_array()) return jobs;
  for (const nlohmann::json& job : list) {
    const bool is_sound = job.is_object() && job.contains("label") && job["label"].is_string() && job.contains("log") &&
                          job["log"].is_string() && job.contains("started") && job["started"].is_number();
    if (!is_sound) return {};
    const std::filesystem::path log = std::filesystem::path(job["log"].get<std::string>()).filename();
    jobs.push_back({job["label"], folder / log, job["started"]});
  }
  return jobs;
}

}  // namespace moebench
