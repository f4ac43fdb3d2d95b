#include "results/journal_mode.h"

#include <algorithm>
#include <array>

#include <sqlite3.h>
#include <sys/statfs.h>

namespace moebench {
namespace {

bool is_on_network(const std::filesystem::path& path) {
  // NFS, SMB, CIFS, SMB2, 9P, AFS, Ceph, Lustre, GPFS, BeeGFS, FUSE (sshfs and the like): statfs(2).
  constexpr std::array<uint32_t, 11> kNetworkFileSystems = {0x6969,     0x517b,     0xff534d42, 0xfe534d42,
                                                            0x01021997, 0x5346414f, 0x00c36400, 0x0bd00bd0,
                                                            0x47504653, 0x19830326, 0x65735546};
  struct statfs file_system {};
  if (statfs(path.c_str(), &file_system) != 0) return false;
  const auto type = static_cast<uint32_t>(file_system.f_type);
  return std::find(kNetworkFileSystems.begin(), kNetworkFileSystems.end(), type) != kNetworkFileSystems.end();
}

void request_journal_mode(const Database& database, const char* pragma) {
  sqlite3_exec(database.handle(), pragma, nullptr, nullptr, nullptr);
}

}  // namespace

void use_write_ahead_log(const Database& database) {
  if (!is_on_network(database.path())) request_journal_mode(database, "PRAGMA journal_mode = WAL");
}

void leave_write_ahead_log(const Database& database) {
  sqlite3_busy_timeout(database.handle(), 0);
  request_journal_mode(database, "PRAGMA journal_mode = DELETE");
}

}  // namespace moebench
