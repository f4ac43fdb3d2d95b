// A sweep by several processes: the same rows as by one, and a process that crashes is a row.
#include <csignal>
#include <set>
#include <sstream>

#include "harness/error.h"
#include "harness/pipeline/run_record.h"
#include "harness/pipeline/sweep_jobs.h"
#include "harness/pipeline/sweep_run.h"
#include "tests/pipeline/measured_values.h"
#include "tests/pipeline/sweep_fixture.h"
#include "tests/run_program.h"

namespace moebench {
namespace {

using testing::HasSubstr;

class SweepJobsTest : public SweepFixture {
 protected:
  // prefix: shell that runs before the program, with the file of cells as $1.
  SweepOutcome run(const std::string& prefix = "", JobOptions options = {.num_jobs = 2}) {
    const SweepPlan plan = plan_sweep(read_sweep_spec(sweep_path(), {"seeds=[0]"}));
    ArtifactFolder artifacts(database_);
    artifacts.lock();
    ResultStore store(database_, ResultStore::Mode::kReadWrite);
    store.set_context(this_machine(), this_build());
    options.command = [&](const std::filesystem::path& cells) -> std::vector<std::string> {
      const std::string program = std::string("exec ") + MOEBENCH_PROGRAM + " run " + sweep_path() +
                                  " --set 'seeds=[0]' --threads 1 --db " + database_.string() + " --cells \"$1\"";
      return {"/bin/sh", "-c", prefix + program, "sh", cells.string()};
    };
    SweepProgress progress(messages_, false, seconds_since_epoch);
    return run_sweep_in_jobs(plan, store, artifacts, options, progress);
  }

  std::vector<RunRecord> runs() const { return ResultStore(database_, ResultStore::Mode::kReadOnly).runs(); }

  // Of the sweep's cells, the first whose label begins so.
  std::string key_of(const std::string& label) const {
    const SweepPlan plan = plan_sweep(read_sweep_spec(sweep_path(), {"seeds=[0]"}));
    for (const PlannedConversion& conversion : plan.models[0].conversions) {
      if (conversion.cell.label.starts_with(label)) return conversion.cell.key();
    }
    for (const PlannedMeasurement& measurement : plan.models[0].measurements) {
      if (measurement.cell.label.starts_with(label)) return measurement.cell.key();
    }
    ADD_FAILURE() << label;
    return "";
  }

  static std::string killed_at(const std::string& key) { return "grep -q " + key + " \"$1\" && kill -9 $$; "; }

  const std::filesystem::path database_ = folder_ / "jobs.sqlite";
  std::ostringstream messages_;
};

TEST_F(SweepJobsTest, GivesTheRowsThatOneProcessGives) {
  const SweepOutcome outcome = run();
  EXPECT_EQ(outcome.failed, 0) << messages_.str();
  const std::string serial = (folder_ / "serial.sqlite").string();
  ASSERT_EQ(run_program(folder_.path(), {"run", "tiny.toml", "--set", "seeds=[0]", "--threads", "1", "--db", serial})
                .exit_code,
            0);
  EXPECT_EQ(measured_values(database_), measured_values(serial));
  EXPECT_EQ(outcome.computed, static_cast<int64_t>(runs().size()));
  EXPECT_EQ(run().reused, outcome.computed) << "a second time nothing is to be done";
}

TEST_F(SweepJobsTest, AProcessThatIsKilledIsItsCellsRowAndTheOthersGoOn) {
  const std::string killed = key_of("cmoe S3A3E8 seed 0");
  const SweepOutcome outcome = run(killed_at(killed));
  EXPECT_EQ(outcome.failed, 1);
  for (const RunRecord& run : runs()) {
    EXPECT_EQ(run.status, run.cell_key == killed ? "failed" : "completed");
    if (run.cell_key == killed) {
      EXPECT_THAT(run.error, HasSubstr("was killed"));
    }
    EXPECT_FALSE(run.stage == "measure" && run.config["method"] == "cmoe") << "nothing to be measured";
  }
  EXPECT_EQ(run().failed, 0) << "tried again by the next run";
  for (const RunRecord& run : runs()) EXPECT_EQ(run.status, "completed");
}

TEST_F(SweepJobsTest, OfAPassThatCrashesOnlyTheOneThatDidItFails) {
  // The pass over the dense stream makes random_split and the controls together.
  const std::string killed = key_of("random_split S0A4E8 seed 0");
  const SweepOutcome outcome = run(killed_at(killed));
  EXPECT_EQ(outcome.failed, 1);
  int64_t converted = 0;
  for (const RunRecord& run : runs()) converted += run.stage == "convert" && run.status == "completed" ? 1 : 0;
  EXPECT_EQ(converted, 3) << messages_.str();
}

TEST_F(SweepJobsTest, AMeasurementThatCrashesLeavesTheOthersOfItsModel) {
  write_sweep(kMethods, "[[tasks]]\nname = \"activated_parameters\"\noptions = { text = \"" +
                            (folder_ / "test.txt").string() + "\", window = 48 }\n");
  const SweepOutcome outcome = run(killed_at(key_of("dense · perplexity")));
  EXPECT_EQ(outcome.failed, 1);
  bool has_other = false;
  for (const RunRecord& run : runs()) {
    has_other = has_other || (run.config["method"] == "dense" && run.config["task"] == "activated_parameters" &&
                              run.status == "completed");
  }
  EXPECT_TRUE(has_other) << messages_.str();
}

TEST_F(SweepJobsTest, FailFastStartsNoOther) {
  run(killed_at(key_of("cmoe S3A3E8 seed 0")), {.num_jobs = 1, .keep_going = false});
  for (const RunRecord& run : runs()) EXPECT_NE(run.stage, "measure");
}

TEST_F(SweepJobsTest, ACellThatTakesTooLongFails) {
  const SweepOutcome outcome = run("grep -q " + key_of("cmoe S3A3E8 seed 0") + " \"$1\" && exec sleep 100; ",
                                   {.num_jobs = 1, .cell_timeout_seconds = 5});
  EXPECT_EQ(outcome.failed, 1);
  int64_t timed_out = 0;
  for (const RunRecord& run : runs()) timed_out += run.error.find("--cell-timeout") != std::string::npos ? 1 : 0;
  EXPECT_EQ(timed_out, 1);
}

TEST_F(SweepJobsTest, WhoSaysTryAgainIsTriedAgain) {
  const std::string once = (folder_ / "once").string();
  EXPECT_EQ(run("[ -e " + once + " ] || { touch " + once + "; exit 75; }; ").failed, 0);
  EXPECT_THAT(messages_.str(), HasSubstr("trying again"));
}

TEST_F(SweepJobsTest, WhoAlwaysSaysTryAgainIsGivenUpWithWhatItSays) {
  EXPECT_THAT([&] { run("echo no room; exit 75; "); }, testing::ThrowsMessage<TryAgainError>(HasSubstr("no room")));
}

TEST_F(SweepJobsTest, ARetrainingInterruptedBehindAMarkGoesOnAndBothMarksAreMeasured) {
  write_sweep("[[methods]]\nname = \"cmoe\"\nshapes = [\"S3A3E8\"]\noracle = false\n",
              "[retraining]\ntexts = [\"" + (folder_ / "train.txt").string() +
                  "\"]\nwindow = 32\ndense = false\ntokens = [64, 192]\nsettings = { tokens_a_step = 32 }\n");
  struct Interruption {};
  const auto num_marks = [&]() -> int64_t {
    if (!std::filesystem::exists(database_)) return 0;
    const std::vector<RunRecord> all = runs();
    return std::count_if(all.begin(), all.end(),
                         [](const RunRecord& run) { return run.stage == "retrain" && run.config["method"] == "cmoe"; });
  };
  // As far as the first mark in this process.
  for (int64_t calls = 2; num_marks() == 0; ++calls) {
    std::filesystem::remove(database_);
    std::filesystem::remove_all(database_.string() + ".artifacts");
    const SweepPlan plan = plan_sweep(read_sweep_spec(sweep_path(), {"seeds=[0]", "controls=false"}));
    ResultStore store(database_, ResultStore::Mode::kReadWrite);
    std::filesystem::create_directories(database_.string() + ".artifacts");
    int64_t left = calls;
    const auto clock = [&] { return left-- > 0 ? 0.0 : throw Interruption(); };
    SweepProgress progress(messages_, false, clock);
    EXPECT_THROW(run_sweep(plan, store, ArtifactFolder(database_), progress), Interruption);
  }
  ASSERT_EQ(num_marks(), 1);
  EXPECT_EQ(run("", {.num_jobs = 1}).failed, 0) << messages_.str();
  EXPECT_EQ(num_marks(), 2);
  std::set<int64_t> measured;
  for (const RunRecord& run : runs()) {
    EXPECT_EQ(run.status, "completed") << run.error;
    if (run.stage == "measure") measured.insert(run.config.value("retrained_tokens", int64_t{0}));
  }
  EXPECT_EQ(measured, (std::set<int64_t>{0, 64, 192}));
}

}  // namespace
}  // namespace moebench
