// moebench run, plan and report, as a user sees them.
#include <sqlite3.h>
#include <unistd.h>
#include <map>
#include <set>

#include "harness/pipeline/artifact_folder.h"
#include "results/result_store.h"
#include "tests/pipeline/sweep_fixture.h"
#include "tests/run_program.h"

namespace moebench {
namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::StartsWith;

class RunCommandTest : public SweepFixture {
 protected:
  ProgramResult sweep(const std::string& command, std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments = {command, "tiny.toml", "--threads", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_program(folder_.path(), arguments);
  }

  std::string sentence(int exit_code, const std::string& command, const std::vector<std::string>& more = {}) const {
    const ProgramResult result = sweep(command, more);
    EXPECT_EQ(result.exit_code, exit_code) << result.errors;
    EXPECT_EQ(result.output, "");
    EXPECT_THAT(result.errors, StartsWith("moebench: "));
    EXPECT_EQ(std::count(result.errors.begin(), result.errors.end(), '\n'), 1) << result.errors;
    return result.errors;
  }

  std::vector<RunRecord> runs() const {
    return ResultStore(folder_ / "tiny.sqlite", ResultStore::Mode::kReadOnly).runs();
  }

  static std::set<std::string> uuids(const std::vector<RunRecord>& runs) {
    std::set<std::string> uuids;
    for (const RunRecord& run : runs) uuids.insert(run.uuid);
    return uuids;
  }

  std::filesystem::path artifact(const RunRecord& run) const { return folder_ / run.artifacts.front().path; }
};

TEST_F(RunCommandTest, MakesTheTable) {
  const ProgramResult result = sweep("run");
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  for (const char* row : {"dense", "cmoe", "random_split", "static_pruning", "oracle"}) {
    EXPECT_THAT(result.output, HasSubstr(row));
  }
  // Two seeds of two methods with a control each; the dense parent and each conversion measured, routed ones twice.
  int64_t converted = 0, measured = 0;
  for (const RunRecord& run : runs()) {
    EXPECT_EQ(run.status, "completed") << run.error;
    (run.stage == "convert" ? converted : measured) += 1;
    if (run.stage == "measure") {
      EXPECT_GT(run.dataset->tokens, 4 * 48) << "of the whole text";
    }
  }
  EXPECT_EQ(converted, 2 * 4);
  EXPECT_EQ(measured, 1 + 2 * (4 + 2));
}

TEST_F(RunCommandTest, StatusSaysHowFarTheSweepIs) {
  const auto status = [&] {
    const ProgramResult result = sweep("status");
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    return result.output;
  };
  EXPECT_THAT(status(), AllOf(HasSubstr("no sweep is at work"), ContainsRegex("convert +0 +8 +0 +0\n"),
                              ContainsRegex("measure +0 +13 +0 +0\n"), HasSubstr("its time is unknown")));
  sweep("run", {"--set", "seeds=[0]"});
  EXPECT_THAT(status(), AllOf(ContainsRegex("convert +4 +4 +0 +0\n"), ContainsRegex("measure +7 +6 +0 +0\n"),
                              ContainsRegex("about .* of work left")));
  sweep("run");
  EXPECT_THAT(status(), AllOf(ContainsRegex("convert +8 +0 +0 +0\n"), ContainsRegex("measure +13 +0 +0 +0\n"),
                              HasSubstr("nothing is missing")));
}

TEST_F(RunCommandTest, ASecondRunDoesNothingAndShowsTheSameTable) {
  const std::string table = sweep("run").output;
  const std::set<std::string> before = uuids(runs());
  const ProgramResult again = sweep("run");
  EXPECT_EQ(again.exit_code, 0);
  EXPECT_EQ(uuids(runs()), before);
  EXPECT_EQ(again.output, table);
  EXPECT_THAT(again.errors, HasSubstr("0 cells computed"));
}

TEST_F(RunCommandTest, ANewTaskOnOldConversionsOnlyMeasures) {
  sweep("run");
  const std::set<std::string> before = uuids(runs());
  write_sweep(kMethods, "[[tasks]]\nname = \"expert_load\"\noptions = { text = \"test.txt\", window = 48 }\n");
  EXPECT_EQ(sweep("run").exit_code, 0);
  for (const RunRecord& run : runs()) {
    if (before.contains(run.uuid)) continue;
    EXPECT_EQ(run.config["task"], "expert_load");
  }
  EXPECT_EQ(runs().size(), before.size() + 13);
}

TEST_F(RunCommandTest, ModelsOfOneSweepDoNotMix) {
  std::string sweep_file = read_file(sweep_path());
  const size_t model = sweep_file.find("[model]"), calibration = sweep_file.find("[calibration]");
  const std::string table = "[[models]]\npath = \"model\"\ndtype = ";
  sweep_file.replace(model, calibration - model, table + "\"float32\"\n" + table + "\"bfloat16\"\n");
  folder_.write("tiny.toml", sweep_file);
  const ProgramResult result = sweep("run", {"--set", "seeds=[0]"});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  std::map<std::string, int64_t> measured;
  for (const RunRecord& run : runs()) {
    if (run.stage == "measure") ++measured[run.config["dtype"].get<std::string>()];
  }
  EXPECT_EQ(measured["float32"], 7);
  EXPECT_EQ(measured["bfloat16"], 7);
}

TEST_F(RunCommandTest, ALostOrAlteredConversionIsMadeAgain) {
  sweep("run");
  std::vector<RunRecord> converted = runs();
  std::erase_if(converted, [](const RunRecord& run) { return run.stage != "convert"; });
  std::filesystem::remove(artifact(converted[0]));
  std::ofstream(artifact(converted[1]), std::ios::app) << "x";
  EXPECT_THAT(sweep("plan").output, HasSubstr("2 missing"));
  const size_t before = runs().size();
  EXPECT_EQ(sweep("run").exit_code, 0);
  EXPECT_EQ(runs().size(), before);
  EXPECT_THAT(sweep("plan").output, HasSubstr(" 0 missing, 0 failed"));
}

TEST_F(RunCommandTest, AShapeThatDoesNotFitIsARowAndTheSweepGoesOn) {
  write_sweep("[[methods]]\nname = \"cmoe\"\nshapes = [\"S3A3E7\", \"S3A3E8\"]\n");
  for (int attempt = 0; attempt < 2; ++attempt) {
    const ProgramResult result = sweep("run", {"--set", "seeds=[0]"});
    EXPECT_EQ(result.exit_code, 4);
    EXPECT_THAT(result.output, HasSubstr("S3A3E8"));
    EXPECT_THAT(result.output, HasSubstr("7 experts do not share out 96 neurons"));
    int64_t failed = 0;
    for (const RunRecord& run : runs()) {
      if (run.status == "completed") continue;
      ++failed;
      EXPECT_THAT(run.error, HasSubstr("7 experts"));
      EXPECT_EQ(run.exit_code, 4);
    }
    EXPECT_EQ(failed, 1) << "retried, and still one row";
    EXPECT_THAT(sweep("plan", {"--set", "seeds=[0]"}).output, HasSubstr(" 0 missing, 1 failed, 1 blocked\n"));
  }
}

TEST_F(RunCommandTest, AMissingTaskTextFailsItsCellsUntilItIsThere) {
  write_sweep(kMethods, "[[tasks]]\nname = \"perplexity\"\noptions = { text = \"late.txt\", window = 48 }\n");
  EXPECT_EQ(sweep("run", {"--set", "seeds=[0]"}).exit_code, 4);
  EXPECT_THAT(sweep("plan", {"--set", "seeds=[0]"}).output, HasSubstr("7 failed"));
  folder_.write("late.txt", text("Better late than never, line "));
  EXPECT_EQ(sweep("run", {"--set", "seeds=[0]"}).exit_code, 0);
  for (const RunRecord& run : runs()) EXPECT_EQ(run.status, "completed") << run.error;
  // Away for a while and back again, it leaves no failures behind.
  std::filesystem::remove(folder_ / "late.txt");
  EXPECT_EQ(sweep("run", {"--set", "seeds=[0]"}).exit_code, 4);
  folder_.write("late.txt", text("Better late than never, line "));
  EXPECT_EQ(sweep("run", {"--set", "seeds=[0]"}).exit_code, 0);
  for (const RunRecord& run : runs()) EXPECT_EQ(run.status, "completed") << run.error;
}

TEST_F(RunCommandTest, ATextShorterThanAWindowFailsTheConversions) {
  folder_.write("train.txt", "Too short.");
  const ProgramResult result = sweep("run", {"--set", "seeds=[0]"});
  EXPECT_EQ(result.exit_code, 4);
  for (const RunRecord& run : runs()) EXPECT_EQ(run.status == "failed", run.stage == "convert") << run.error;
  EXPECT_THAT(sweep("plan", {"--set", "seeds=[0]"}).output, HasSubstr(" 1 done, 0 missing, 4 failed, 6 blocked\n"));
}

TEST_F(RunCommandTest, DryRunAndPlanComputeNothing) {
  const ProgramResult dry = sweep("run", {"--dry-run"});
  EXPECT_EQ(dry.exit_code, 0) << dry.errors;
  EXPECT_THAT(dry.output, HasSubstr("21 cells: 0 done, 21 missing, 0 failed"));
  EXPECT_EQ(sweep("plan").output, dry.output);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "tiny.sqlite"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "tiny.sqlite.artifacts"));
}

TEST_F(RunCommandTest, PlanSaysWhy) {
  sweep("run");
  const ProgramResult result = sweep("plan", {"--why", "--set", "methods.cmoe.options.propagate=dense"});
  EXPECT_THAT(result.output, HasSubstr("hit: run "));
  EXPECT_THAT(result.output, HasSubstr("  options.propagate: \"converted\" recorded, \"dense\" wanted"));
  EXPECT_THAT(result.output, HasSubstr("  conversion.options.propagate: \"converted\" recorded, \"dense\" wanted"));
}

TEST_F(RunCommandTest, ReportPrintsOrWritesTheTable) {
  sweep("run");
  const std::vector<std::string> report = {"report", "--db", "tiny.sqlite", "--format", "csv"};
  const ProgramResult printed = run_program(folder_.path(), report);
  EXPECT_EQ(printed.exit_code, 0) << printed.errors;
  EXPECT_THAT(printed.output, HasSubstr("random_split"));
  std::vector<std::string> to_file = report;
  to_file.insert(to_file.end(), {"--output", "table.csv"});
  EXPECT_EQ(run_program(folder_.path(), to_file).output, "");
  EXPECT_EQ(read_file(folder_ / "table.csv"), printed.output);
  EXPECT_EQ(run_program(folder_.path(), {"report", "--db", "none.sqlite"}).exit_code, 2);
  EXPECT_EQ(run_program(folder_.path(), {"report", "--db", "tiny.sqlite", "--format", "pdf"}).exit_code, 2);
}

TEST_F(RunCommandTest, BadSweepFilesAreUsageErrors) {
  EXPECT_THAT(sentence(2, "run", {"--set", "seeds=[-1]"}), HasSubstr("seeds must not be negative"));
  EXPECT_THAT(sentence(2, "run", {"--set", "methods.cmoe.options.x=1"}), HasSubstr("unknown option 'x'"));
  EXPECT_THAT(sentence(2, "run", {"--set", "model.path=nowhere"}), HasSubstr("nowhere"));
  folder_.write("tiny.toml", "name = ");
  EXPECT_THAT(sentence(2, "run"), HasSubstr("tiny.toml:1: is not TOML"));
  std::filesystem::remove(folder_ / "tiny.toml");
  EXPECT_THAT(sentence(2, "run"), HasSubstr("tiny.toml: cannot be read"));
  // Nothing is made for a sweep that cannot be.
  EXPECT_FALSE(std::filesystem::exists(folder_ / "tiny.sqlite"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "tiny.sqlite.artifacts"));
}

TEST_F(RunCommandTest, UnusableDatabasesAreRefused) {
  folder_.write("text.sqlite", text("Not a database at all, line "));
  EXPECT_THAT(sentence(2, "run", {"--db", "text.sqlite"}), HasSubstr("text.sqlite"));
  EXPECT_THAT(sentence(2, "plan", {"--db", "text.sqlite"}), HasSubstr("text.sqlite"));

  ResultStore(folder_ / "newer.sqlite", ResultStore::Mode::kReadWrite);
  sqlite3* connection = nullptr;
  ASSERT_EQ(sqlite3_open((folder_ / "newer.sqlite").c_str(), &connection), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(connection, "PRAGMA user_version = 999", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(connection);
  EXPECT_THAT(sentence(2, "run", {"--db", "newer.sqlite"}), HasSubstr("newer"));
}

// A sweep that was killed as it began leaves one.
TEST_F(RunCommandTest, AnEmptyDatabaseIsFilled) {
  folder_.write("tiny.sqlite", "");
  EXPECT_THAT(sweep("plan").output, HasSubstr("missing"));
  const ProgramResult result = sweep("run");
  EXPECT_EQ(result.exit_code, 0) << result.errors;
}

TEST_F(RunCommandTest, AFolderThatCannotBeMadeIsATryAgain) {
  folder_.write("file", "");
  EXPECT_THAT(sentence(75, "run", {"--db", "file/tiny.sqlite"}), HasSubstr("cannot be written"));
}

TEST_F(RunCommandTest, AReadOnlyFolderIsATryAgain) {
  // Root may write to any folder but those of the kernel.
  std::filesystem::path read_only = "/proc";
  if (geteuid() != 0) {
    read_only = folder_ / "read_only";
    std::filesystem::create_directory(read_only);
    std::filesystem::permissions(read_only, std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
  }
  EXPECT_THAT(sentence(75, "run", {"--db", (read_only / "tiny.sqlite").string()}), HasSubstr("cannot be written"));
}

TEST_F(RunCommandTest, TwoSweepsDoNotShareADatabase) {
  ArtifactFolder other(folder_ / "tiny.sqlite");
  other.lock();
  EXPECT_THAT(sentence(75, "run"), HasSubstr("another sweep is writing to it"));
}

}  // namespace
}  // namespace moebench
