// SQLite behind two classes: a connection that reports errors in one sentence, and a prepared statement.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace moebench {

enum class OpenMode {
  kReadOnly,  // never creates a file
  kReadWrite,
  kInMemory,
};

class Database {
 public:
  // lock_timeout: how long a statement waits for another connection. Throws as check_code does, and std::runtime_error
  // for a missing file (kReadOnly) or a folder.
  Database(const std::filesystem::path& path, OpenMode mode, std::chrono::milliseconds lock_timeout);
  static Database in_memory();

  void execute(const std::string& sql) const;   // one or more statements, rows ignored
  int64_t integer(std::string_view sql) const;  // of the first row and column; 0 if there is none
  int changes() const;                          // rows that the last statement changed
  int64_t last_insert_id() const;

  // Throws unless code (SQLite's) means success. TryAgainError: locked, full disk, no permission; std::runtime_error:
  // not a database, damaged; std::invalid_argument: a constraint of the schema. Messages name the file.
  void check_code(int code) const;

  const std::filesystem::path& path() const { return path_; }
  sqlite3* handle() const { return handle_.get(); }

 private:
  struct Closer {
    void operator()(sqlite3* handle) const;
  };

  std::filesystem::path path_;
  std::unique_ptr<sqlite3, Closer> handle_;
};

// A prepared statement. Parameters count from 1, columns from 0, as SQLite has them.
class Statement {
 public:
  Statement(const Database& database, std::string_view sql);

  // Makes the statement ready to run with these values for its parameters, in order. Values: whole numbers, double
  // (NaN is stored as NULL), text, optionals of them (none is NULL).
  template <class... Values>
  Statement& bind(const Values&... values) {
    reset();
    int parameter = 0;
    (bind_value(++parameter, values), ...);
    return *this;
  }

  bool step();  // true: a row is there to read
  void run();   // to the end, rows ignored

  bool is_null(int column) const;
  int64_t integer(int column) const;
  double real(int column) const;  // NULL is NaN
  std::string text(int column) const;

 private:
  struct Finalizer {
    void operator()(sqlite3_stmt* statement) const;
  };

  void reset();
  void bind_null(int parameter);
  void bind_value(int parameter, int64_t value);
  void bind_value(int parameter, int value) { bind_value(parameter, static_cast<int64_t>(value)); }
  void bind_value(int parameter, bool value) { bind_value(parameter, static_cast<int64_t>(value)); }
  void bind_value(int parameter, double value);
  void bind_value(int parameter, std::string_view value);
  void bind_value(int parameter, const std::string& value) { bind_value(parameter, std::string_view(value)); }
  void bind_value(int parameter, const char* value) { bind_value(parameter, std::string_view(value)); }
  template <class Value>
  void bind_value(int parameter, const std::optional<Value>& value) {
    value ? bind_value(parameter, *value) : bind_null(parameter);
  }

  const Database& database_;
  std::unique_ptr<sqlite3_stmt, Finalizer> statement_;
};

// BEGIN until commit(); rolled back otherwise. kWrite takes the write lock at once, so what it reads stays true.
class Transaction {
 public:
  enum class Kind { kRead, kWrite };

  Transaction(const Database& database, Kind kind);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  void commit();

 private:
  const Database& database_;
  bool open_ = true;
};

}  // namespace moebench
