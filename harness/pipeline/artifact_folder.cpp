#include "harness/pipeline/artifact_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <vector>

#include "harness/content_hash.h"
#include "harness/error.h"

namespace moebench {
namespace {

constexpr const char* kConversion = "conversion";

std::string file_hash(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  ContentHasher hasher;
  std::vector<char> buffer(1 << 20);
  while (file.read(buffer.data(), static_cast<std::streamsize>(buffer.size())), file.gcount() > 0) {
    hasher.update({buffer.data(), static_cast<size_t>(file.gcount())});
  }
  if (!file.eof()) throw std::runtime_error(path.string() + ": cannot be read; was it removed meanwhile?");
  return hasher.finish();
}

void remove_half_written(const std::filesystem::path& folder) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    if (entry.path().filename().string().find(".partial.") == std::string::npos) continue;
    std::filesystem::remove(entry.path(), ignored);
  }
}

}  // namespace

ArtifactFolder::ArtifactFolder(const std::filesystem::path& database)
    : database_(database), folder_(database.string() + ".artifacts") {}

ArtifactFolder::~ArtifactFolder() {
  if (lock_descriptor_ >= 0) close(lock_descriptor_);
}

std::filesystem::path ArtifactFolder::path(const std::string& key) const { return folder_ / (key + ".safetensors"); }

std::filesystem::path ArtifactFolder::jobs_folder() const { return folder_ / "jobs"; }

bool ArtifactFolder::is_locked() const {
  const int descriptor = open((folder_ / "lock").c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return false;
  const bool is_free = flock(descriptor, LOCK_SH | LOCK_NB) == 0;
  close(descriptor);
  return !is_free;
}

void ArtifactFolder::lock() {
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  if (!error) {
    lock_descriptor_ = open((folder_ / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (lock_descriptor_ < 0) error.assign(errno, std::generic_category());
  }
  if (error) {
    throw TryAgainError(folder_.string() + ": cannot be written (" + error.message() +
                        "); choose a database in a folder with space and write permission, with --db");
  }
  if (flock(lock_descriptor_, LOCK_EX | LOCK_NB) != 0) {
    throw TryAgainError(database_.string() + ": another sweep is writing to it; wait for it, or choose another --db");
  }
  remove_half_written(folder_);
}

ArtifactRecord ArtifactFolder::describe(const std::string& key) const {
  const std::filesystem::path file = path(key);
  return {.kind = kConversion,
          // Relative to the database's folder, so that both can be moved together.
          .path = folder_.filename().string() + "/" + file.filename().string(),
          .sha256 = file_hash(file),
          .bytes = static_cast<int64_t>(std::filesystem::file_size(file))};
}

bool ArtifactFolder::holds(const RunRecord& run) const {
  const std::filesystem::path file = path(run.cell_key);
  if (run.artifacts.empty() || !std::filesystem::is_regular_file(file)) return false;
  // Two writes within a tick of the clock bear the same time: what has just been written is not remembered.
  const auto written = std::filesystem::last_write_time(file);
  const bool is_settled = std::filesystem::file_time_type::clock::now() - written > std::chrono::seconds(1);
  const auto known = known_hashes_.find(file);
  if (known != known_hashes_.end() && known->second.written == written) {
    return known->second.sha256 == run.artifacts.front().sha256;
  }
  const std::string sha256 = file_hash(file);
  if (is_settled) known_hashes_[file] = {written, sha256};
  return sha256 == run.artifacts.front().sha256;
}

}  // namespace moebench
