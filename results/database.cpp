#include "results/database.h"

#include <array>
#include <cmath>
#include <fstream>
#include <stdexcept>

#include <sqlite3.h>

#include "harness/error.h"

namespace moebench {
namespace {

// Bytes 18 and 19 of the header say how the file is written: 2 is the write-ahead log.
bool uses_write_ahead_log(const std::filesystem::path& path) {
  std::array<char, 20> header{};
  std::ifstream(path, std::ios::binary).read(header.data(), header.size());
  return header[18] == 2;
}

std::string as_uri(const std::filesystem::path& path) {
  std::string uri = "file:";
  for (const char byte : std::filesystem::absolute(path).string()) {
    if (byte == '%')
      uri += "%25";
    else if (byte == '?')
      uri += "%3f";
    else if (byte == '#')
      uri += "%23";
    else
      uri += byte;
  }
  return uri;
}

// A reader of a file whose write-ahead log is gone (copied, or on a read-only disk) would make SQLite create one.
// Nobody has it open for writing then: a writer would have made the log.
std::string read_only_uri(const std::filesystem::path& path) {
  const bool log_is_missing = uses_write_ahead_log(path) && !std::filesystem::exists(path.string() + "-wal");
  return as_uri(path) + (log_is_missing ? "?immutable=1" : "");
}

// A writer that was killed within a transaction left its journal and half of what it wrote; opening for writing puts
// that back. Where this one may not write, reading says so.
void roll_back_what_was_left(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path.string() + "-journal", ignored)) return;
  sqlite3* handle = nullptr;
  sqlite3_open_v2(as_uri(path).c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_URI, nullptr);
  sqlite3_exec(handle, "PRAGMA schema_version", nullptr, nullptr, nullptr);
  sqlite3_close_v2(handle);
}

void refuse_missing(const std::filesystem::path& path, OpenMode mode) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    throw std::runtime_error(path.string() + ": is a folder, not a results database; name a file in it");
  }
  if (mode == OpenMode::kReadOnly && !std::filesystem::exists(path, ignored)) {
    throw std::runtime_error(path.string() + ": no such results database; `moebench run SPEC.toml --db " +
                             path.string() + "` makes one");
  }
}

}  // namespace

Database::Database(const std::filesystem::path& path, OpenMode mode, std::chrono::milliseconds lock_timeout)
    : path_(path) {
  if (mode != OpenMode::kInMemory) refuse_missing(path, mode);
  if (mode == OpenMode::kReadOnly) roll_back_what_was_left(path);
  const std::string name = mode == OpenMode::kInMemory   ? ":memory:"
                           : mode == OpenMode::kReadOnly ? read_only_uri(path)
                                                         : as_uri(path);
  const int access = mode == OpenMode::kReadOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(name.c_str(), &handle, access | SQLITE_OPEN_URI | SQLITE_OPEN_EXRESCODE, nullptr);
  handle_.reset(handle);
  check_code(code);
  sqlite3_busy_timeout(handle, static_cast<int>(lock_timeout.count()));
  // The file may come from anyone: its schema must not run code, its statements must not damage the file.
  sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  execute("PRAGMA foreign_keys = ON");
}

Database Database::in_memory() { return Database("", OpenMode::kInMemory, std::chrono::milliseconds(0)); }

void Database::Closer::operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }

void Database::execute(const std::string& sql) const {
  check_code(sqlite3_exec(handle(), sql.c_str(), nullptr, nullptr, nullptr));
}

int64_t Database::integer(std::string_view sql) const {
  Statement statement(*this, sql);
  return statement.step() ? statement.integer(0) : 0;
}

int Database::changes() const { return sqlite3_changes(handle()); }

int64_t Database::last_insert_id() const { return sqlite3_last_insert_rowid(handle()); }

void Database::check_code(int code) const {
  const int primary = code & 0xff;
  if (primary == SQLITE_OK || primary == SQLITE_ROW || primary == SQLITE_DONE) return;
  const std::string detail = handle() != nullptr ? sqlite3_errmsg(handle()) : sqlite3_errstr(code);
  const std::string subject = path_.string() + ": ";
  switch (primary) {
    case SQLITE_NOTADB:
      throw std::runtime_error(subject + "is not a results database; name another file with --db");
    case SQLITE_CORRUPT:
      throw std::runtime_error(subject + "the results database is damaged (" + detail +
                               "); restore a copy, or name another file with --db");
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
      throw std::invalid_argument(subject + "refused by the results database: " + detail);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      throw TryAgainError(subject + "locked by another process; try again when it is done");
    case SQLITE_FULL:
    case SQLITE_IOERR:
      throw TryAgainError(subject + "cannot be read or written (" + detail + "); is the disk full?");
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      throw TryAgainError(subject + "cannot be opened or written (" + detail +
                          "); choose a folder with write permission, or change this one's");
    default:
      throw std::runtime_error(subject + "results database: " + detail);
  }
}

Statement::Statement(const Database& database, std::string_view sql) : database_(database) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v2(database.handle(), sql.data(), static_cast<int>(sql.size()), &statement, nullptr);
  statement_.reset(statement);
  database.check_code(code);
}

void Statement::Finalizer::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

// The code that reset returns is the last step's, which has thrown already.
void Statement::reset() { sqlite3_reset(statement_.get()); }

bool Statement::step() {
  const int code = sqlite3_step(statement_.get());
  database_.check_code(code);
  return code == SQLITE_ROW;
}

void Statement::run() {
  while (step()) continue;
}

void Statement::bind_null(int parameter) { database_.check_code(sqlite3_bind_null(statement_.get(), parameter)); }

void Statement::bind_value(int parameter, int64_t value) {
  database_.check_code(sqlite3_bind_int64(statement_.get(), parameter, value));
}

void Statement::bind_value(int parameter, double value) {
  database_.check_code(sqlite3_bind_double(statement_.get(), parameter, value));
}

void Statement::bind_value(int parameter, std::string_view value) {
  // A null data pointer would bind NULL instead of the empty text.
  const char* data = value.empty() ? "" : value.data();
  database_.check_code(
      sqlite3_bind_text64(statement_.get(), parameter, data, value.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
}

bool Statement::is_null(int column) const { return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL; }

int64_t Statement::integer(int column) const { return sqlite3_column_int64(statement_.get(), column); }

double Statement::real(int column) const {
  return is_null(column) ? std::nan("") : sqlite3_column_double(statement_.get(), column);
}

std::string Statement::text(int column) const {
  const unsigned char* bytes = sqlite3_column_text(statement_.get(), column);
  const int size = sqlite3_column_bytes(statement_.get(), column);
  return bytes == nullptr ? "" : std::string(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
}

Transaction::Transaction(const Database& database, Kind kind) : database_(database) {
  database.execute(kind == Kind::kWrite ? "BEGIN IMMEDIATE" : "BEGIN");
}

Transaction::~Transaction() {
  // Some errors (full disk) have rolled back already; there is nothing more to do then.
  if (open_) sqlite3_exec(database_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
}

void Transaction::commit() {
  database_.execute("COMMIT");
  open_ = false;
}

}  // namespace moebench
