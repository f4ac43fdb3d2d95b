// The files beside a database that its runs refer to: one safetensors file a conversion, named by its key.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "results/result_store.h"

namespace moebench {

class ArtifactFolder {
 public:
  // <database>.artifacts; not created yet.
  explicit ArtifactFolder(const std::filesystem::path& database);

  std::filesystem::path path(const std::string& key) const;
  std::filesystem::path jobs_folder() const;  // logs of the processes that a sweep had (job_list.h)

  // Creates the folder, keeps other sweeps out of this database as long as this object lives, and removes what a
  // killed sweep left half-written. Throws TryAgainError: another sweep is at work, or the folder cannot be written.
  void lock();
  bool is_locked() const;  // by a sweep that is at work
  ~ArtifactFolder();
  ArtifactFolder(const ArtifactFolder&) = delete;
  ArtifactFolder& operator=(const ArtifactFolder&) = delete;

  // Of the file as it is. Throws std::runtime_error if it cannot be read.
  ArtifactRecord describe(const std::string& key) const;
  // The file is there and is the one that the run recorded. A file is read again only when it was written again.
  bool holds(const RunRecord& run) const;

 private:
  std::filesystem::path database_, folder_;
  int lock_descriptor_ = -1;
  struct KnownHash {
    std::filesystem::file_time_type written;
    std::string sha256;
  };
  mutable std::map<std::filesystem::path, KnownHash> known_hashes_;
};

}  // namespace moebench
