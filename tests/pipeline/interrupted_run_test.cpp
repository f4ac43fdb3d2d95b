// A sweep that is killed or interrupted goes on where it was.
#include <signal.h>
#include <chrono>
#include <map>
#include <random>
#include <thread>

#include "results/result_store.h"
#include "tests/pipeline/sweep_fixture.h"
#include "tests/run_program.h"

namespace moebench {
namespace {

using testing::HasSubstr;

// A sweep that outruns the test ends before it has been killed so often, but not before the least number of kills.
constexpr int kMaxKills = 10;
constexpr int kMinKills = 3;

class InterruptedRunTest : public SweepFixture {
 protected:
  // More cells than kills.
  void SetUp() override {
    SweepFixture::SetUp();
    write_sweep(kMethods, "[[tasks]]\nname = \"expert_load\"\noptions = { text = \"test.txt\", window = 48 }\n");
  }

  std::vector<std::string> arguments(const std::string& database) const {
    return {"run", "tiny.toml", "--threads", "1", "--db", database};
  }

  std::vector<RunRecord> runs(const std::string& database) const {
    if (!std::filesystem::exists(folder_ / database)) return {};
    try {
      return ResultStore(folder_ / database, ResultStore::Mode::kReadOnly).runs();
    } catch (const std::runtime_error&) {
      return {};  // at the moment of its creation
    }
  }

  // Waits until the running sweep has recorded so many runs and a little more, or has ended.
  void wait_for_runs(const std::string& database, size_t count, int extra_milliseconds, pid_t child) const {
    while (runs(database).size() < count && !has_ended(child)) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(extra_milliseconds));
  }

  static bool has_ended(pid_t child) {
    siginfo_t info = {};
    return waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == child;
  }

  // Everything measured, by cell and name. Costs differ from run to run and are left out.
  static std::map<std::pair<std::string, std::string>, double> measured(const std::vector<RunRecord>& runs) {
    std::map<std::pair<std::string, std::string>, double> values;
    for (const RunRecord& run : runs) {
      EXPECT_EQ(run.status, "completed") << run.error;
      if (run.stage != "measure") continue;
      for (const Metric& metric : run.metrics) {
        const bool is_new = values.emplace(std::pair(run.cell_key, metric.name), metric.value).second;
        EXPECT_TRUE(is_new) << "measured twice: " << metric.name;
      }
    }
    return values;
  }

  void expect_nothing_half_written(const std::string& database) const {
    for (const auto& entry : std::filesystem::directory_iterator(folder_ / (database + ".artifacts"))) {
      EXPECT_EQ(entry.path().string().find(".partial."), std::string::npos) << entry.path();
    }
  }
};

TEST_F(InterruptedRunTest, KilledAtAnyMomentItEndsWithTheSameNumbers) {
  ASSERT_EQ(run_program(folder_.path(), arguments("whole.sqlite")).exit_code, 0);
  size_t recorded = 0;
  int kill_count = 0;
  for (; kill_count < kMaxKills; ++kill_count) {
    const pid_t child = start_program(folder_.path(), arguments("killed.sqlite"));
    wait_for_runs("killed.sqlite", recorded + 1, 3 * kill_count, child);
    kill(child, SIGKILL);
    const int exit_code = finish_program(folder_.path(), child).exit_code;
    if (exit_code == 0) break;
    ASSERT_EQ(exit_code, 128 + SIGKILL);
    EXPECT_GT(runs("killed.sqlite").size(), recorded) << "what was done is kept";
    recorded = runs("killed.sqlite").size();
  }
  EXPECT_GE(kill_count, kMinKills);
  const ProgramResult last = run_program(folder_.path(), arguments("killed.sqlite"));
  EXPECT_EQ(last.exit_code, 0) << last.errors;
  EXPECT_EQ(runs("killed.sqlite").size(), runs("whole.sqlite").size());
  EXPECT_EQ(measured(runs("killed.sqlite")), measured(runs("whole.sqlite")));
  expect_nothing_half_written("killed.sqlite");
}

// By one process, and by several: then the one that leads is killed, and what its others still write is not written
// twice.
TEST_F(InterruptedRunTest, KilledAtFiftyRandomMomentsItEndsWithTheSameNumbers) {
  ASSERT_EQ(run_program(folder_.path(), arguments("whole.sqlite")).exit_code, 0);
  const auto whole = measured(runs("whole.sqlite"));
  std::mt19937 generator(1);
  std::uniform_int_distribution<int> milliseconds(0, 400);
  for (const bool has_jobs : {false, true}) {
    int num_databases = 0;
    std::string database;
    std::vector<std::string> command;
    const auto begin_another = [&] {
      database = (has_jobs ? "jobs-" : "one-") + std::to_string(num_databases++) + ".sqlite";
      command = arguments(database);
      if (has_jobs) command.insert(command.end(), {"--jobs", "2"});
    };
    const auto end_and_compare = [&] {
      const ProgramResult last = run_program(folder_.path(), command);
      EXPECT_EQ(last.exit_code, 0) << last.errors;
      EXPECT_EQ(runs(database).size(), runs("whole.sqlite").size());
      EXPECT_EQ(measured(runs(database)), whole);
      expect_nothing_half_written(database);
    };
    begin_another();
    for (int kill_count = 0; kill_count < 50; ++kill_count) {
      const pid_t child = start_program(folder_.path(), command);
      std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds(generator)));
      kill(child, SIGKILL);
      const int exit_code = finish_program(folder_.path(), child).exit_code;
      if (exit_code == 128 + SIGKILL) continue;
      ASSERT_EQ(exit_code, 0);
      end_and_compare();
      begin_another();
    }
    end_and_compare();
  }
}

TEST_F(InterruptedRunTest, SignalsStopItCleanly) {
  size_t recorded = 0;
  for (const int signal : {SIGINT, SIGTERM}) {
    const pid_t child = start_program(folder_.path(), arguments("tiny.sqlite"));
    wait_for_runs("tiny.sqlite", recorded + 1, 0, child);
    kill(child, signal);
    const ProgramResult result = finish_program(folder_.path(), child);
    EXPECT_EQ(result.exit_code, 128 + signal) << result.errors;
    EXPECT_THAT(result.errors, HasSubstr("the same command goes on from here"));
    EXPECT_EQ(result.output, "");
    expect_nothing_half_written("tiny.sqlite");
    recorded = runs("tiny.sqlite").size();
  }
  EXPECT_EQ(run_program(folder_.path(), arguments("tiny.sqlite")).exit_code, 0);
}

}  // namespace
}  // namespace moebench
