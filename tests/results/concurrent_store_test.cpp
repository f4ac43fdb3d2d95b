// Several processes and threads on one database, and processes that are killed.
#include <sys/wait.h>
#include <unistd.h>
#include <atomic>
#include <csignal>
#include <set>
#include <thread>

#include <gmock/gmock.h>

#include "tests/results/store_fixture.h"

namespace moebench {
namespace {

using testing::SizeIs;
using testing::StartsWith;
using Mode = ResultStore::Mode;

class ConcurrentStoreTest : public StoreFixture {
 protected:
  // In a process of its own, for a database connection does not survive fork.
  template <class Body>
  static pid_t start(const Body& body) {
    const pid_t child = fork();
    if (child != 0) return child;
    try {
      body();
      _exit(0);
    } catch (const std::exception& error) {
      fprintf(stderr, "%s\n", error.what());
      _exit(1);
    }
  }
  static void expect_success(pid_t child) {
    int status = -1;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  uintmax_t log_size() const {
    std::error_code missing;
    const uintmax_t size = std::filesystem::file_size(path_.string() + "-wal", missing);
    return missing ? 0 : size;
  }
};

// Each adds 100 runs of its own and the same 50 shared cells, opening a new database together.
TEST_F(ConcurrentStoreTest, ProcessesLoseAndDuplicateNothing) {
  std::vector<pid_t> children;
  for (const std::string writer : {"a", "b", "c"}) {
    children.push_back(start([&] {
      ResultStore store = open();
      for (int run = 0; run < 100; ++run) {
        store.add(sample_run(writer + std::to_string(run)));
        if (run % 2 != 0) continue;
        RunRecord shared = sample_run("shared" + std::to_string(run));
        shared.uuid += writer;
        store.add(shared);
      }
    }));
  }
  for (const pid_t child : children) expect_success(child);
  std::set<std::string> cells;
  const std::vector<RunRecord> runs = open(Mode::kReadOnly).runs();
  for (const RunRecord& run : runs) {
    cells.insert(run.cell_key);
    EXPECT_THAT(run.metrics, SizeIs(1));
  }
  EXPECT_THAT(runs, SizeIs(350));
  EXPECT_THAT(cells, SizeIs(350));
}

// A run has one metric for each of its two items; a reader that saw half a run would count otherwise.
TEST_F(ConcurrentStoreTest, ReadersSeeWholeRunsWhileAThreadWrites) {
  open();
  std::atomic<bool> done = false;
  std::thread writer([&] {
    ResultStore store = open();
    for (int run = 0; run < 100; ++run) {
      RunRecord record = sample_run(std::to_string(run));
      record.items = {{"task", "0", 1, 1, std::nullopt}, {"task", "1", 1, 1, std::nullopt}};
      store.add(record);
    }
    done = true;
  });
  size_t seen = 0;
  while (!done) {
    const ResultStore reader = open(Mode::kReadOnly);
    const std::vector<RunRecord> runs = reader.runs();
    EXPECT_GE(runs.size(), seen);
    seen = runs.size();
    for (const RunRecord& run : runs) EXPECT_THAT(run.metrics, SizeIs(1));
    if (!runs.empty()) {
      EXPECT_THAT(reader.items(runs.back().uuid), SizeIs(2));
    }
  }
  writer.join();
  EXPECT_THAT(open(Mode::kReadOnly).runs(), SizeIs(100));
}

// Killed when its log has grown by two megabytes, that is before the commit of a run of some ten.
TEST_F(ConcurrentStoreTest, KilledWriterLeavesNothingOfItsRun) {
  RunRecord large = sample_run("large");
  for (int item = 0; item < 200000; ++item) large.items.push_back({"task", std::to_string(item), 1, 1, std::nullopt});
  open().add(sample_run("before"));
  const pid_t child = start([&] { open().add(large); });
  while (log_size() < (2u << 20) && waitpid(child, nullptr, WNOHANG) == 0) usleep(200);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);

  EXPECT_THAT(open(Mode::kReadOnly).runs(), SizeIs(1));
  ResultStore store = open();
  EXPECT_THAT(store.items("uuid-large"), SizeIs(0));
  store.add(large);
  EXPECT_THAT(store.items("uuid-large"), SizeIs(200000));
}

// Whenever it is killed, every run is there whole or not at all, and none is lost that was reported as stored.
TEST_F(ConcurrentStoreTest, WriterKilledAtAnyMomentLosesNothingThatItReported) {
  for (int round = 0; round < 12; ++round) {
    int reports[2];
    ASSERT_EQ(pipe(reports), 0);
    const pid_t child = start([&] {
      ResultStore store = open();
      for (int number = 0;; ++number) {
        const std::string name = std::to_string(round) + "-" + std::to_string(number);
        RunRecord run = sample_run(name);
        for (int item = 0; item < 300; ++item) run.items.push_back({"task", std::to_string(item), 1, 1, std::nullopt});
        store.add(run);
        if (write(reports[1], "x", 1) != 1) _exit(1);
      }
    });
    close(reports[1]);
    usleep(5000 + 7000 * static_cast<useconds_t>(round));
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    int reported = 0;
    for (char byte; read(reports[0], &byte, 1) == 1;) ++reported;
    close(reports[0]);

    ResultStore store = open();
    int stored = 0;
    for (const RunRecord& run : store.runs()) {
      if (run.uuid.rfind("uuid-" + std::to_string(round) + "-", 0) != 0) continue;
      ++stored;
      EXPECT_THAT(store.items(run.uuid), SizeIs(300));
    }
    EXPECT_GE(stored, reported);
    EXPECT_LE(stored, reported + 1);
  }
}

}  // namespace
}  // namespace moebench
