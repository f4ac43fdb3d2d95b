// Merging, exporting, checking and migrating, on databases that the tests make.
#include <algorithm>
#include <fstream>
#include <random>
#include <sstream>

#include <gmock/gmock.h>

#include "harness/content_hash.h"
#include "harness/error.h"
#include "results/database_check.h"
#include "results/database_export.h"
#include "results/database_merge.h"
#include "results/open_results.h"
#include "results/schema.h"
#include "tests/results/store_fixture.h"

namespace moebench {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string export_of(const Database& database) {
  std::string lines;
  export_json_lines(database, [&](const std::string& line) { lines += line; });
  return lines;
}

class DatabaseCareTest : public StoreFixture {
 protected:
  std::filesystem::path file(const std::string& name) const { return folder_ / (name + ".sqlite"); }

  // A database of these runs, measured on a machine of this class.
  std::filesystem::path make(const std::string& name, const std::vector<RunRecord>& runs,
                             const std::string& machine = "two cores") const {
    ResultStore store(file(name), ResultStore::Mode::kReadWrite);
    store.set_context({.cpu = "a cpu", .memory_bytes = 1 << 30, .machine_class = machine}, {.git_commit = "1a2b3c"});
    for (const RunRecord& run : runs) store.add(run);
    return file(name);
  }

  MergeReport merge(const std::vector<std::filesystem::path>& shards, const std::string& into) const {
    const Database target = open_results(file(into), OpenMode::kReadWrite);
    MergeReport report;
    Transaction transaction(target, Transaction::Kind::kWrite);
    for (const auto& shard : shards) merge_into(target, open_results(shard, OpenMode::kReadOnly), report);
    transaction.commit();
    return report;
  }

  std::string hash_of(const std::string& name) const {
    return database_content_hash(open_results(file(name), OpenMode::kReadOnly));
  }

  std::vector<RunRecord> runs_of(const std::string& name) const {
    return ResultStore(file(name), ResultStore::Mode::kReadOnly).runs();
  }
};

// A run of cell that began at started and measured this perplexity.
RunRecord run_of_cell(const std::string& uuid, const std::string& cell, double started, double perplexity) {
  RunRecord run = sample_run(uuid);
  run.cell_key = cell;
  run.started = started;
  run.metrics = {{"text/gptq-16/ppl", "", perplexity, Direction::kLowerIsBetter, 4, 0.5},
                 {"seconds", "s", started, Direction::kLowerIsBetter}};
  run.items = {{"text/gptq-16", "0", 1.5 * perplexity, 16}, {"text/gptq-16", "1", perplexity, 16}};
  run.model = ModelRecord{.role = "converted", .weights_hash = "w-" + cell, .parent_weights_hash = "w", .path = uuid};
  return run;
}

RunRecord failure_of_cell(const std::string& uuid, const std::string& cell, double started) {
  RunRecord run = failed_run(uuid);
  run.cell_key = cell;
  run.started = started;
  return run;
}

// Four shards: cells of their own, one that three of them measured, failures that others completed or failed at again.
TEST_F(DatabaseCareTest, AnyOrderAndRepetitionOfShardsGivesTheSameContent) {
  std::vector<std::filesystem::path> shards = {
      make("shard-0", {run_of_cell("a", "cell-1", 10, 20), run_of_cell("b", "cell-2", 11, 21),
                       failure_of_cell("f", "cell-4", 12)}),
      make("shard-1",
           {run_of_cell("c", "cell-2", 9, 21), run_of_cell("d", "cell-3", 13, 22), failure_of_cell("g", "cell-5", 14)},
           "four cores"),
      make("shard-2", {run_of_cell("e", "cell-2", 11, 25), run_of_cell("h", "cell-4", 8, 23)}),
      make("shard-3", {failure_of_cell("i", "cell-5", 20), failure_of_cell("j", "cell-4", 30),
                       failure_of_cell("k", "cell-1", 31)})};
  merge(shards, "all");
  const std::string expected = hash_of("all");
  std::vector<size_t> order = {0, 1, 2, 3};
  int trial = 0;
  do {
    std::vector<std::filesystem::path> shuffled;
    for (const size_t shard : order) shuffled.push_back(shards[shard]);
    shuffled.push_back(shards[order[trial % 4]]);  // and one of them twice
    const std::string name = "trial-" + std::to_string(trial++);
    merge(shuffled, name);
    ASSERT_EQ(hash_of(name), expected) << testing::PrintToString(order);
  } while (std::next_permutation(order.begin(), order.end()));
  EXPECT_EQ(trial, 24);
}

TEST_F(DatabaseCareTest, MergedDatabasesMergeAgain) {
  const auto one = make("one", {run_of_cell("a", "cell-1", 10, 20)});
  const auto two = make("two", {run_of_cell("b", "cell-1", 11, 20)});
  const auto three = make("three", {run_of_cell("c", "cell-1", 9, 20)});
  merge({one, two, three}, "all");
  merge({one, two}, "first");
  merge({two, three}, "second");
  merge({file("second"), file("first"), file("all"), three}, "again");
  EXPECT_EQ(hash_of("again"), hash_of("all"));
}

TEST_F(DatabaseCareTest, ASecondResultOfACellIsKeptAndSaid) {
  const auto one = make("one", {run_of_cell("a", "cell-1", 10, 20)});
  const auto two = make("two", {run_of_cell("b", "cell-1", 9, 20.5)});
  const MergeReport report = merge({one, two}, "all");
  EXPECT_EQ(report.added, 2);
  EXPECT_THAT(report.conflicts,
              ElementsAre(HasSubstr("runs uuid-a and uuid-b are of one cell; both are kept; text/gptq-16/ppl is 20 in "
                                    "one and 20.5 in the other")));
  const std::vector<RunRecord> runs = runs_of("all");
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(runs[0].uuid, "uuid-b") << "began first";
  EXPECT_EQ(runs[0].cell_key, "cell-1");
  EXPECT_EQ(runs[1].cell_key, "cell-1#uuid-a");
  EXPECT_THAT(merge({one}, "all").conflicts, IsEmpty());
}

TEST_F(DatabaseCareTest, MergingKeepsAllThatARunSays) {
  RunRecord run = run_of_cell("a", "cell-1", 10, 20);
  run.dataset = DatasetRecord{"text", "test", "d0", "t0", 99};
  run.artifacts = {{"conversion", "x/y.safetensors", "9a", 12}};
  const auto one = make("one", {run, failure_of_cell("f", "cell-2", 3)});
  merge({one}, "all");
  EXPECT_EQ(hash_of("all"), hash_of("one"));
  const ResultStore store(file("all"), ResultStore::Mode::kReadOnly);
  EXPECT_EQ(store.items("uuid-a").at(0).nll, 30);
  EXPECT_EQ(store.runs().back().dataset->tokens, 99);
}

TEST_F(DatabaseCareTest, BaselinesAndVerdictsAreMergedOnce) {
  const auto one = make("one", {run_of_cell("a", "cell-1", 10, 20), run_of_cell("b", "cell-2", 11, 21)});
  {
    ResultStore store(one, ResultStore::Mode::kReadWrite);
    store.set_baseline({"accepted", "me", "first", 100, {"uuid-a"}});
    store.set_baseline({"accepted", "me", "better", 200, {"uuid-b"}});
    store.add_night({}, {{.base_uuid = "uuid-a",
                          .new_uuid = "uuid-b",
                          .metric = "seconds",
                          .delta = 0.1,
                          .p = 0.02,
                          .low = 0.05,
                          .high = 0.2,
                          .verdict = "inconclusive"}});
  }
  merge({one, one}, "all");
  merge({one}, "all");
  EXPECT_EQ(hash_of("all"), hash_of("one"));
  const std::vector<BaselineRecord> baselines = ResultStore(file("all"), ResultStore::Mode::kReadOnly).baselines();
  ASSERT_EQ(baselines.size(), 2u);
  EXPECT_EQ(baselines.back().reason, "better");
  EXPECT_THAT(baselines.back().uuids, ElementsAre("uuid-b"));
}

TEST_F(DatabaseCareTest, BaselinesNeedANameAndRunsWithMetrics) {
  make("one", {run_of_cell("a", "cell-1", 10, 20), failure_of_cell("f", "cell-2", 3)});
  ResultStore store(file("one"), ResultStore::Mode::kReadWrite);
  EXPECT_THROW(store.set_baseline({"", "me", "", 1, {"uuid-a"}}), std::invalid_argument);
  EXPECT_THROW(store.set_baseline({"accepted", "me", "", 1, {"uuid-x"}}), std::invalid_argument);
  EXPECT_THROW(store.set_baseline({"accepted", "me", "", 1, {"uuid-f"}}), std::invalid_argument);
  EXPECT_THAT(store.baselines(), IsEmpty());
}

TEST_F(DatabaseCareTest, ContentHashIsThatOfTheExportedLines) {
  make("one", {run_of_cell("a", "cell-1", 10, 20)});
  EXPECT_EQ(hash_of("one"), content_hash(std::string_view(export_of(open_results(file("one"), OpenMode::kReadOnly)))));
  make("other", {run_of_cell("a", "cell-1", 10, 20.000000000000004)});
  EXPECT_NE(hash_of("one"), hash_of("other")) << "the last bit counts";
}

TEST_F(DatabaseCareTest, HostileTextIsExportedAsOneLineOfJson) {
  RunRecord run = failed_run("a");
  run.error = "line\nbreak \"quoted\" \xff\x01";
  make("one", {run});
  const std::string lines = export_of(open_results(file("one"), OpenMode::kReadOnly));
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 1);
  EXPECT_EQ(nlohmann::json::parse(lines)["error"], "line\nbreak \"quoted\" \xef\xbf\xbd\x01");
}

TEST_F(DatabaseCareTest, CsvHasALineAMetricAndOneForAFailure) {
  make("one", {run_of_cell("a", "cell-1", 10, 20), failure_of_cell("f", "cell-2", 3)});
  std::string csv;
  export_csv(open_results(file("one"), OpenMode::kReadOnly), [&](const std::string& line) { csv += line; });
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 1 + 2 + 1);
  EXPECT_THAT(csv, AllOf(HasSubstr("text/gptq-16/ppl,,lower,20,4,0.5"), HasSubstr("out of memory")));
}

TEST_F(DatabaseCareTest, AWholeDatabaseHasNoProblems) {
  make("one", {run_of_cell("a", "cell-1", 10, 20), failure_of_cell("f", "cell-2", 3)});
  const DatabaseCheck check = check_database(open_results(file("one"), OpenMode::kReadOnly));
  EXPECT_THAT(check.problems, IsEmpty());
  EXPECT_EQ(check.runs, 2);
  EXPECT_EQ(check.failed_runs, 1);
  EXPECT_EQ(check.items, 2);
  EXPECT_EQ(check.content_hash, hash_of("one"));
}

TEST_F(DatabaseCareTest, RowsOfAnAbsentRunAreAProblem) {
  make("one", {run_of_cell("a", "cell-1", 10, 20)});
  {
    const Database database(file("one"), OpenMode::kReadWrite, std::chrono::seconds(1));
    database.execute("PRAGMA foreign_keys = OFF; DELETE FROM run");
  }
  const DatabaseCheck check = check_database(open_results(file("one"), OpenMode::kReadOnly));
  ASSERT_FALSE(check.problems.empty());
  EXPECT_THAT(check.problems[0], HasSubstr("refers to one of 'run' that is not there"));
}

TEST_F(DatabaseCareTest, WhatNobodyUsesAndWhatIsGoneIsNoted) {
  RunRecord run = run_of_cell("a", "cell-1", 10, 20);
  run.artifacts = {{"conversion", "one.sqlite.artifacts/cell-1.safetensors", "9a", 12}};
  make("one", {run});
  {
    const Database database(file("one"), OpenMode::kReadWrite, std::chrono::seconds(1));
    database.execute("INSERT INTO config(hash, json) VALUES('unused', '{}')");
  }
  const DatabaseCheck check = check_database(open_results(file("one"), OpenMode::kReadOnly));
  EXPECT_THAT(check.problems, IsEmpty());
  EXPECT_THAT(check.notes, ElementsAre(HasSubstr("1 rows of 'config'"), HasSubstr("1 files of conversions")));
}

TEST_F(DatabaseCareTest, ALockedTargetIsToBeTriedAgain) {
  make("one", {run_of_cell("a", "cell-1", 10, 20)});
  const Database holder = open_results(file("one"), OpenMode::kReadWrite);
  const Transaction held(holder, Transaction::Kind::kWrite);
  const Database target = open_results(file("one"), OpenMode::kReadWrite, std::chrono::milliseconds(10));
  EXPECT_THROW(Transaction(target, Transaction::Kind::kWrite), TryAgainError);
}

TEST_F(DatabaseCareTest, AFullDiskLeavesTheTargetAsItWas) {
  std::vector<RunRecord> runs;
  for (int run = 0; run < 200; ++run) {
    const std::string name = std::to_string(run);
    runs.push_back(run_of_cell(name, "cell-" + name, run, 20));
  }
  const auto large = make("large", runs);
  make("target", {run_of_cell("a", "cell-a", 10, 20)});
  const std::string before = hash_of("target");
  {
    const Database target = open_results(file("target"), OpenMode::kReadWrite);
    target.execute("PRAGMA max_page_count = " + std::to_string(target.integer("PRAGMA page_count") + 2));
    MergeReport report;
    const Transaction transaction(target, Transaction::Kind::kWrite);
    EXPECT_THROW(merge_into(target, open_results(large, OpenMode::kReadOnly), report), TryAgainError);
  }
  EXPECT_EQ(hash_of("target"), before);
}

// Whatever a byte says, checking and merging end with an answer or an exception, and the target stays whole.
TEST_F(DatabaseCareTest, FlippedBytesNeverCrash) {
  make("one", {run_of_cell("a", "cell-1", 10, 20), failure_of_cell("f", "cell-2", 3)});
  std::ifstream source(file("one"), std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(source), {}};
  std::mt19937_64 random(7);
  int refused = 0;
  for (int trial = 0; trial < 150; ++trial) {
    std::string flipped = bytes;
    flipped[random() % flipped.size()] ^= static_cast<char>(1 + random() % 255);
    std::ofstream(file("flipped"), std::ios::binary) << flipped;
    try {
      check_database(open_results(file("flipped"), OpenMode::kReadOnly));
      merge({file("flipped")}, "into");
    } catch (const std::exception&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 0);
  EXPECT_THAT(check_database(open_results(file("into"), OpenMode::kReadOnly)).problems, IsEmpty());
}

class SchemaFixtureTest : public DatabaseCareTest, public testing::WithParamInterface<int> {
 protected:
  // The fixture as a file.
  std::filesystem::path load(int version) const {
    std::ifstream sql(std::string(MOEBENCH_SCHEMA_FIXTURES) + "/schema_version_" + std::to_string(version) + ".sql");
    std::stringstream text;
    text << sql.rdbuf();
    const auto path = file("version-" + std::to_string(version));
    Database(path, OpenMode::kReadWrite, std::chrono::seconds(1)).execute(text.str());
    return path;
  }
};

TEST_P(SchemaFixtureTest, IsMigratedWithAllItsRows) {
  const auto path = load(GetParam());
  EXPECT_EQ(Database(path, OpenMode::kReadOnly, std::chrono::seconds(1)).integer("PRAGMA user_version"), GetParam());
  const Database database = open_results(path, OpenMode::kReadWrite);
  EXPECT_EQ(database.integer("PRAGMA user_version"), static_cast<int64_t>(migrations().size()));
  EXPECT_THAT(check_database(database).problems, IsEmpty());

  const ResultStore store(path, ResultStore::Mode::kReadOnly);
  const std::vector<RunRecord> runs = store.runs();
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(runs[0].uuid, "4f4f0001-0000-4000-8000-000000000001");
  EXPECT_EQ(runs[0].started, 1750000000.5);
  ASSERT_EQ(runs[0].metrics.size(), 2u);
  EXPECT_EQ(runs[0].metrics[0].value, 20.085536923187668);
  EXPECT_EQ(runs[0].metrics[0].standard_error, 0.25);
  EXPECT_EQ(runs[0].dataset->tokens, 960);
  EXPECT_EQ(runs[0].model->weights_hash, "a0a0");
  EXPECT_EQ(runs[0].machine_class, "eight cores, avx2");
  EXPECT_EQ(runs[1].error, "out of memory");
  ASSERT_EQ(store.items(runs[0].uuid).size(), 2u);
  EXPECT_EQ(store.items(runs[0].uuid)[1].nll, 141.5);
  ASSERT_EQ(store.baselines().size(), 1u);
  EXPECT_EQ(store.baselines()[0].reason, "the first one");
}

TEST_P(SchemaFixtureTest, IsTakenByAMergeOnceItIsMigrated) {
  const auto path = load(GetParam());
  open_results(path, OpenMode::kReadWrite);
  EXPECT_EQ(merge({path}, "all").added, 2);
  EXPECT_EQ(hash_of("all"), database_content_hash(open_results(path, OpenMode::kReadOnly)));
}

INSTANTIATE_TEST_SUITE_P(Versions, SchemaFixtureTest, testing::Values(1, 2));

TEST_F(DatabaseCareTest, EveryVersionOfTheSchemaHasAFixture) {
  for (size_t version = 1; version <= migrations().size(); ++version) {
    EXPECT_TRUE(std::filesystem::exists(std::string(MOEBENCH_SCHEMA_FIXTURES) + "/schema_version_" +
                                        std::to_string(version) + ".sql"))
        << version;
  }
}

}  // namespace
}  // namespace moebench
