// Files that are not what they should be, and disks that do not take what they are given.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>
#include <functional>

#include <gmock/gmock.h>
#include <sqlite3.h>

#include "harness/error.h"
#include "results/database.h"
#include "tests/results/store_fixture.h"

namespace moebench {
namespace {

using testing::AnyOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;
using Mode = ResultStore::Mode;

class HostileDatabaseTest : public StoreFixture {
 protected:
  // Changes the file behind the store's back.
  void tamper(const std::string& sql) const {
    sqlite3* handle = nullptr;
    ASSERT_EQ(sqlite3_open(path_.c_str(), &handle), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(handle, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(handle);
    sqlite3_close(handle);
  }
  void expect_refusal(const std::string& why) const {
    for (const Mode mode : {Mode::kReadOnly, Mode::kReadWrite}) {
      EXPECT_THAT(message_of_opening(mode), HasSubstr("results.sqlite: "));
      EXPECT_THAT(message_of_opening(mode), HasSubstr(why));
    }
  }
};

// What body returns in a process of its own, so that its limits and mounts are not ours. 77: could not be set up.
int exit_code_in_child(const std::function<int()>& body) {
  const pid_t child = fork();
  if (child == 0) {
    try {
      _exit(body());
    } catch (...) {
      _exit(99);
    }
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// Mounts of this process's own. As root it needs nothing more; others become root of a user namespace.
bool enter_own_mounts() {
  const std::string user = std::to_string(geteuid()), group = std::to_string(getegid());
  const bool is_root = geteuid() == 0;
  if (unshare(CLONE_NEWNS | (is_root ? 0 : CLONE_NEWUSER)) != 0) return false;
  if (!is_root) {
    std::ofstream("/proc/self/setgroups") << "deny";
    std::ofstream("/proc/self/uid_map") << "0 " + user + " 1";
    std::ofstream("/proc/self/gid_map") << "0 " + group + " 1";
  }
  return mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
}

// A run that needs more than a megabyte.
RunRecord large_run(const std::string& name) {
  RunRecord run = sample_run(name);
  for (int item = 0; item < 4000; ++item) {
    run.items.push_back({"task", std::to_string(item) + std::string(200, 'x'), 1, 1, std::nullopt});
  }
  return run;
}

// 0: the second of two runs met a full disk, was reported, and the first is all there is.
int fill_the_disk(const std::filesystem::path& path, const std::function<void()>& limit) {
  ResultStore store(path, Mode::kReadWrite);
  store.add(sample_run("small"));
  limit();
  try {
    store.add(large_run("large"));
    return 1;
  } catch (const TryAgainError& error) {
    if (std::string(error.what()).find("is the disk full?") == std::string::npos) return 2;
  }
  const std::vector<RunRecord> runs = store.runs();
  return runs.size() == 1 && runs[0].uuid == "uuid-small" ? 0 : 3;
}

TEST_F(HostileDatabaseTest, MissingFileIsNotMadeByAReader) {
  EXPECT_THROW(open(Mode::kReadOnly), std::runtime_error);
  EXPECT_THAT(message_of_opening(Mode::kReadOnly), HasSubstr("no such results database"));
  EXPECT_THAT(files_in_folder(), IsEmpty());
}

TEST_F(HostileDatabaseTest, FolderIsNotADatabase) {
  std::filesystem::create_directory(path_);
  expect_refusal("is a folder");
}

TEST_F(HostileDatabaseTest, TextIsNotADatabase) {
  write_file("Not a database, but long enough to have a header: " + std::string(200, '.'));
  const std::string before = read_file();
  expect_refusal("is not a results database");
  EXPECT_EQ(read_file(), before);
}

TEST_F(HostileDatabaseTest, EmptyFileIsRefusedForReadingAndFilledForWriting) {
  write_file("");
  EXPECT_THAT(message_of_opening(Mode::kReadOnly), HasSubstr("is empty"));
  EXPECT_EQ(message_of_opening(Mode::kReadWrite), "opened");
}

// As a program that was killed within a transaction leaves it: changed pages in the file, and the journal beside it.
TEST_F(HostileDatabaseTest, ReadingPutsBackWhatAKilledWriterLeft) {
  open().add(sample_run("kept"));
  const std::filesystem::path left = folder_ / "left.sqlite";
  {
    const Database writer(path_, OpenMode::kReadWrite, std::chrono::seconds(1));
    writer.execute("PRAGMA cache_size = 1; BEGIN IMMEDIATE; DELETE FROM run; CREATE TABLE filler(text)");
    for (int row = 0; row < 50; ++row) writer.execute("INSERT INTO filler VALUES (hex(zeroblob(5000)))");
    std::filesystem::copy_file(path_, left);
    std::filesystem::copy_file(path_.string() + "-journal", left.string() + "-journal");
    writer.execute("ROLLBACK");
  }
  ASSERT_GT(std::filesystem::file_size(left), std::filesystem::file_size(path_)) << "pages were written";
  EXPECT_EQ(ResultStore(left, Mode::kReadOnly).runs().size(), 1u);
  EXPECT_FALSE(std::filesystem::exists(left.string() + "-journal"));
}

TEST_F(HostileDatabaseTest, DatabaseOfAnotherProgramIsRefusedAndNotTouched) {
  tamper("CREATE TABLE recipes(name)");
  const std::string before = read_file();
  expect_refusal("is a database of another program");
  EXPECT_EQ(read_file(), before);
}

TEST_F(HostileDatabaseTest, TruncatedFileIsRefused) {
  open().add(large_run("a"));
  const std::string whole = read_file();
  for (const size_t size : {50ul, 100ul, 4000ul, 4096ul, 20000ul, whole.size() - 4096, whole.size() - 1}) {
    write_file(whole.substr(0, size));
    EXPECT_THAT(message_of_opening(Mode::kReadOnly), AnyOf(HasSubstr("is damaged"), HasSubstr("is not a results")))
        << size << " of " << whole.size();
    EXPECT_THAT(message_of_opening(Mode::kReadWrite), AnyOf(HasSubstr("is damaged"), HasSubstr("is not a results")))
        << size << " of " << whole.size();
  }
}

// Whatever byte is wrong: an answer or a sentence, never a crash.
TEST_F(HostileDatabaseTest, FlippedBytesNeverCrash) {
  open().add(sample_run("a"));
  const std::string whole = read_file();
  std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
  const auto write_byte = [&](size_t position, char byte) {
    file.seekp(static_cast<std::streamoff>(position)).put(byte).flush();
  };
  for (size_t position = 0; position < whole.size(); position += position < 600 ? 1 : 97) {
    write_byte(position, static_cast<char>(~whole[position]));
    try {
      const ResultStore store = open(Mode::kReadOnly);
      for (const RunRecord& run : store.runs()) store.items(run.uuid);
      store.summary();
    } catch (const std::runtime_error& error) {
      EXPECT_THAT(error.what(), HasSubstr("results.sqlite: ")) << position;
    }
    write_byte(position, whole[position]);
  }
}

TEST_F(HostileDatabaseTest, TableOfAnotherShapeIsRefused) {
  open();
  tamper("DROP TABLE item; CREATE TABLE item(run_id, task)");
  expect_refusal("its 'item' is not what schema version 2 has");
}

TEST_F(HostileDatabaseTest, TableThatIsAViewIsRefused) {
  open();
  tamper(
      "DROP TABLE item; CREATE VIEW item AS WITH RECURSIVE forever(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM "
      "forever) "
      "SELECT x AS run_id FROM forever");
  expect_refusal("its 'item' is not");
}

TEST_F(HostileDatabaseTest, TriggersAreRefused) {
  open();
  tamper("CREATE TRIGGER spoil AFTER INSERT ON run BEGIN DELETE FROM run; END");
  expect_refusal("has triggers");
}

TEST_F(HostileDatabaseTest, ConfigThatIsNoJsonIsNamedByItsRun) {
  for (const std::string& json : {std::string("{\"model\":"), std::string(100000, '[')}) {
    std::filesystem::remove(path_);
    open().add(sample_run("a"));
    tamper("UPDATE config SET json = '" + json + "'");
    const ResultStore store = open(Mode::kReadOnly);
    try {
      store.runs();
      FAIL() << "accepted";
    } catch (const std::runtime_error& error) {
      EXPECT_THAT(error.what(), HasSubstr("run 'uuid-a': its config is n"));
    }
  }
}

TEST_F(HostileDatabaseTest, LockedDatabaseIsToBeTriedAgain) {
  ResultStore store = open();
  const Database other(path_, OpenMode::kReadWrite, std::chrono::seconds(1));
  const Transaction lock(other, Transaction::Kind::kWrite);
  ResultStore impatient(path_, Mode::kReadWrite, std::chrono::milliseconds(10));
  try {
    impatient.add(sample_run("a"));
    FAIL() << "accepted";
  } catch (const TryAgainError& error) {
    EXPECT_THAT(error.what(), HasSubstr("results.sqlite: locked by another process"));
  }
  EXPECT_THAT(impatient.runs(), IsEmpty());
}

TEST_F(HostileDatabaseTest, FolderThatCannotBeWrittenIsToBeTriedAgain) {
  // Root may write anywhere, so a folder that does not exist stands for one without permission.
  const std::filesystem::path path = folder_ / "absent" / "results.sqlite";
  EXPECT_THROW(ResultStore(path, Mode::kReadWrite), TryAgainError);
}

// In a mount namespace of its own: root obeys a read-only mount, too.
TEST_F(HostileDatabaseTest, ReadOnlyDiskCanBeReadAndRefusesWriting) {
  open().add(sample_run("a"));
  const int code = exit_code_in_child([&] {
    if (!enter_own_mounts()) return 77;
    if (mount(folder_.c_str(), folder_.c_str(), nullptr, MS_BIND, nullptr) != 0) return 77;
    if (mount(nullptr, folder_.c_str(), nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr) != 0) return 77;
    if (open(Mode::kReadOnly).runs().size() != 1) return 1;
    try {
      open(Mode::kReadWrite).add(sample_run("b"));
      return 2;
    } catch (const TryAgainError&) {
      return 0;
    }
  });
  if (code == 77) GTEST_SKIP() << "this system does not allow mounts in a namespace of its own";
  EXPECT_EQ(code, 0);
  EXPECT_THAT(files_in_folder(), ElementsAre("results.sqlite"));
}

TEST_F(HostileDatabaseTest, FullDiskKeepsTheRunsBefore) {
  const int code = exit_code_in_child([&] {
    if (!enter_own_mounts()) return 77;
    if (mount("tmpfs", folder_.c_str(), "tmpfs", 0, "size=1m") != 0) return 77;
    return fill_the_disk(path_, [] {});
  });
  if (code == 77) GTEST_SKIP() << "this system does not allow mounts in a namespace of its own";
  EXPECT_EQ(code, 0);
}

TEST_F(HostileDatabaseTest, FileSizeLimitKeepsTheRunsBefore) {
  const int code = exit_code_in_child([&] {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1 << 20, 1 << 20};
    return fill_the_disk(path_, [&] { setrlimit(RLIMIT_FSIZE, &limit); });
  });
  EXPECT_EQ(code, 0);
  ResultStore store = open();
  EXPECT_THAT(store.runs(), SizeIs(1));
  store.add(large_run("large"));
  EXPECT_THAT(store.items("uuid-large"), SizeIs(4000));
}

TEST_F(HostileDatabaseTest, DatabaseThatMayNotGrowReportsAFullDisk) {
  const Database database(path_, OpenMode::kReadWrite, std::chrono::seconds(1));
  database.execute("PRAGMA max_page_count = 3; CREATE TABLE filler(bytes)");
  EXPECT_THROW(database.execute("INSERT INTO filler VALUES(zeroblob(100000))"), TryAgainError);
}

// Copied without its log, or on a disk that was made read-only: nothing is created to read it.
TEST_F(HostileDatabaseTest, FileWhoseLogIsGoneIsReadWithoutMakingOne) {
  open().add(sample_run("a"));
  tamper("PRAGMA journal_mode = WAL");
  EXPECT_THAT(files_in_folder(), ElementsAre("results.sqlite"));
  const ResultStore store = open(Mode::kReadOnly);
  EXPECT_THAT(store.runs(), SizeIs(1));
  EXPECT_THAT(files_in_folder(), ElementsAre("results.sqlite"));
}

TEST_F(HostileDatabaseTest, NameWithAQuestionMarkIsAName) {
  path_ = folder_ / "50% sure? #1.sqlite";
  open().add(sample_run("a"));
  EXPECT_THAT(open(Mode::kReadOnly).runs(), SizeIs(1));
  EXPECT_THAT(files_in_folder(), ElementsAre("50% sure? #1.sqlite"));
}

}  // namespace
}  // namespace moebench
