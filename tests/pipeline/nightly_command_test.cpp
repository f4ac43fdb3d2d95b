// moebench nightly, baseline, bisect and db, as a user and a CI job see them.
#include <map>

#include "results/database_export.h"
#include "results/night.h"
#include "results/open_results.h"
#include "results/schema.h"
#include "tests/pipeline/sweep_fixture.h"
#include "tests/run_program.h"

namespace moebench {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class NightlyCommandTest : public SweepFixture {
 protected:
  void SetUp() override {
    SweepFixture::SetUp();
    write_tasks("");
  }

  // One conversion and its dense parent: quality, counters, times.
  void write_tasks(const std::string& more) const {
    write_sweep("controls = false\n[[methods]]\nname = \"cmoe\"\nshapes = [\"S3A3E8\"]\nseeds = [0]\n",
                "[[tasks]]\nname = \"activated_parameters\"\noptions = { text = \"" + (folder_ / "test.txt").string() +
                    "\", window = 48, max_windows = 1 }\n[[tasks]]\nname = \"kernel_latency\"\noptions = { text = \"" +
                    (folder_ / "test.txt").string() +
                    "\", window = 48, tokens = \"4\", seconds = 0.01, min_rounds = 3 }\n" + more);
    // controls stands before the tables in a sweep file.
    std::string file = read_file(sweep_path());
    const std::string controls = "controls = false\n";
    file.erase(file.find(controls), controls.size());
    folder_.write("tiny.toml", controls + file);
  }

  ProgramResult program(std::vector<std::string> arguments) const {
    arguments.insert(arguments.end(), {"--threads", "1"});
    return run_program(folder_.path(), arguments);
  }
  // Times are measured, and no change of theirs matters: the machine may be busy.
  ProgramResult nightly(std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments = {"nightly",   "tiny.toml", "--rounds",       "2",
                                          "--retries", "0",         "--min-slowdown", "900"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return program(arguments);
  }

  std::filesystem::path database() const { return folder_ / "tiny.sqlite"; }
  std::vector<RunRecord> runs() const { return ResultStore(database(), ResultStore::Mode::kReadOnly).runs(); }

  void execute(const std::string& sql) const {
    Database(database(), OpenMode::kReadWrite, std::chrono::seconds(5)).execute(sql);
  }
};

TEST_F(NightlyCommandTest, MeasuresAnewEveryNightAndComparesWithTheBest) {
  const ProgramResult first = nightly();
  EXPECT_EQ(first.exit_code, 5) << first.errors;
  EXPECT_THAT(first.errors, HasSubstr("the first night of this sweep"));
  const ProgramResult second = nightly({"--output-path", "out"});
  EXPECT_EQ(second.exit_code, 0) << second.output << second.errors;
  EXPECT_THAT(second.output, AllOf(HasSubstr("against best of the last night"), HasSubstr("activated_parameters/all"),
                                   HasSubstr("test/gptq-48"), HasSubstr("time_over_dense"), HasSubstr("Made by")));
  const std::vector<RunRecord> all = runs();
  const std::vector<Night> nights = read_nights(all);
  ASSERT_EQ(nights.size(), 2u);
  std::map<std::string, int> stages;
  for (const RunRecord& run : all) ++stages[run.stage + run.config.value("task", "")];
  EXPECT_EQ(stages["convert"], 2);
  EXPECT_EQ(stages["measureperplexity"], 2 * 2);
  EXPECT_EQ(stages["measurekernel_latency"], 2 * 2 * 2) << "each night both models twice";
  EXPECT_FALSE(std::filesystem::exists(folder_ / "tiny.sqlite.night"));
  for (const char* file : {"nightly.md", "junit.xml", "google_benchmark.json", "bencher.json",
                           "benchmark_action_smaller_is_better.json", "benchmark_action_bigger_is_better.json"}) {
    EXPECT_TRUE(std::filesystem::exists(folder_ / "out" / file)) << file;
  }
  EXPECT_EQ(program({"db", "check", "--db", "tiny.sqlite"}).exit_code, 0);
  EXPECT_EQ(program({"report", "--db", "tiny.sqlite"}).exit_code, 0);
}

TEST_F(NightlyCommandTest, ALossOfQualityIsExitCode1AndAcceptedWithAReason) {
  nightly();
  // As if the night had been better by a tenth of a nat a token.
  execute("UPDATE item SET nll = nll - 0.1 * tokens");
  const ProgramResult worse = nightly();
  EXPECT_EQ(worse.exit_code, 1) << worse.output << worse.errors;
  EXPECT_THAT(worse.output, AllOf(HasSubstr("**2 regressions**"), HasSubstr("**regressed**")));

  EXPECT_EQ(program({"baseline", "set", "accepted", "--db", "tiny.sqlite"}).exit_code, 0);
  EXPECT_EQ(nightly({"--baseline", "accepted"}).exit_code, 0);
  EXPECT_EQ(program({"baseline", "set", "accepted", "--db", "tiny.sqlite"}).exit_code, 2) << "it is set";
  EXPECT_EQ(program({"baseline", "accept", "accepted", "--db", "tiny.sqlite"}).exit_code, 2) << "why?";
  EXPECT_EQ(program({"baseline", "accept", "other", "--why", "x", "--db", "tiny.sqlite"}).exit_code, 2);
  EXPECT_EQ(program({"baseline", "accept", "accepted", "--why", "it | is right", "--db", "tiny.sqlite"}).exit_code, 0);
  EXPECT_THAT(program({"baseline", "list", "--db", "tiny.sqlite"}).output, HasSubstr("it \\| is right"));
}

TEST_F(NightlyCommandTest, AMissingBaselineIsExitCode5BeforeAnythingIsMeasured) {
  nightly();
  const size_t before = runs().size();
  const ProgramResult result = nightly({"--baseline", "release"});
  EXPECT_EQ(result.exit_code, 5);
  EXPECT_THAT(result.errors, StartsWith("moebench: there is no baseline 'release'"));
  EXPECT_EQ(runs().size(), before);
  EXPECT_EQ(nightly({"--baseline", "commit:77777777"}).exit_code, 5);
}

TEST_F(NightlyCommandTest, OtherDataIsNotComparableAndNamesTheField) {
  nightly();
  folder_.write("test.txt", text("Something else that is measured on tonight, and that is all "));
  const ProgramResult result = nightly();
  EXPECT_EQ(result.exit_code, 5) << result.errors;
  EXPECT_THAT(result.output, HasSubstr("task_data: "));
}

TEST_F(NightlyCommandTest, AFailedCellIsExitCode4) {
  nightly();
  write_tasks("[[tasks]]\nname = \"perplexity\"\noptions = { text = \"no such file\", window = 48 }\n");
  const ProgramResult result = nightly();
  EXPECT_EQ(result.exit_code, 4) << result.output << result.errors;
  EXPECT_THAT(result.output, HasSubstr("no such file"));
}

TEST_F(NightlyCommandTest, BisectSaysGoodBadOrSkip) {
  const auto bisect = [&](std::vector<std::string> more) {
    std::vector<std::string> arguments = {"bisect", "tiny.toml", "--rounds", "1", "--retries", "0", "--metric"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return program(arguments);
  };
  nightly();
  double nll = 0;
  for (const RunRecord& run : runs()) {
    for (const Metric& metric : run.metrics) {
      const bool is_cmoes = run.config["method"] == "cmoe" && metric.name == "test/gptq-48/nll";
      if (is_cmoes) nll = metric.value;
    }
  }
  ASSERT_GT(nll, 0);
  const std::string metric = "test/gptq-48/nll";
  EXPECT_EQ(bisect({metric, "--subject", "cmoe", "--good", std::to_string(nll)}).exit_code, 0);
  const ProgramResult bad = bisect({metric, "--subject", "cmoe", "--good", std::to_string(nll * 0.99)});
  EXPECT_EQ(bad.exit_code, 1);
  EXPECT_THAT(bad.output, HasSubstr("regressed"));
  EXPECT_EQ(bisect({"no/such/metric", "--good", "1"}).exit_code, 125);
  EXPECT_EQ(bisect({metric, "--baseline", "unknown"}).exit_code, 125);
  EXPECT_EQ(bisect({"test/gptq-48", "--baseline", "last"}).exit_code, 0);
  execute("UPDATE item SET nll = nll - 0.1 * tokens");
  EXPECT_EQ(bisect({"test/gptq-48", "--baseline", "last"}).exit_code, 1);
  EXPECT_EQ(read_nights(runs()).size(), 1u) << "bisecting adds no night";
}

TEST_F(NightlyCommandTest, DatabasesAreExportedMergedAndRefused) {
  nightly();
  EXPECT_EQ(program({"db", "merge", "tiny.sqlite", "tiny.sqlite", "--into", "all.sqlite"}).exit_code, 0);
  EXPECT_EQ(program({"db", "merge", "all.sqlite", "--into", "all.sqlite"}).exit_code, 2);
  const std::string one = program({"db", "export", "--db", "tiny.sqlite"}).output;
  EXPECT_EQ(program({"db", "export", "--db", "all.sqlite"}).output, one);
  EXPECT_EQ(program({"db", "export", "--db", "all.sqlite", "--output", "all.jsonl"}).exit_code, 0);
  EXPECT_EQ(read_file(folder_ / "all.jsonl"), one);
  EXPECT_THAT(program({"db", "check", "--db", "all.sqlite"}).output,
              HasSubstr("content " + database_content_hash(open_results(database(), OpenMode::kReadOnly))));
  EXPECT_THAT(program({"db", "export", "--db", "all.sqlite", "--format", "csv"}).output, StartsWith("run,cell_key,"));

  const std::string version = std::to_string(migrations().size());
  EXPECT_EQ(program({"db", "migrate", "--db", "all.sqlite"}).output,
            "schema version " + version + " before, " + version + " now\n");
  EXPECT_EQ(program({"db", "migrate", "--db", "none.sqlite"}).exit_code, 2);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "none.sqlite"));
  execute("PRAGMA user_version = 99");
  for (const char* command : {"check", "export", "migrate"}) {
    const ProgramResult newer = program({"db", command, "--db", "tiny.sqlite"});
    EXPECT_EQ(newer.exit_code, 2);
    EXPECT_THAT(newer.errors, HasSubstr("newer moebench"));
  }
  folder_.write("text.sqlite", "this is no database at all, whatever it is called");
  EXPECT_EQ(program({"db", "check", "--db", "text.sqlite"}).exit_code, 2);
}

TEST_F(NightlyCommandTest, ReadersGoOnWhileAnotherProcessWrites) {
  nightly();
  const std::string before = program({"db", "export", "--db", "tiny.sqlite"}).output;
  const Database writer(database(), OpenMode::kReadWrite, std::chrono::seconds(1));
  const Transaction transaction(writer, Transaction::Kind::kWrite);
  writer.execute("DELETE FROM run");
  EXPECT_EQ(program({"db", "export", "--db", "tiny.sqlite"}).output, before);
  EXPECT_EQ(program({"db", "merge", "tiny.sqlite", "--into", "other.sqlite"}).exit_code, 0);
}

}  // namespace
}  // namespace moebench
