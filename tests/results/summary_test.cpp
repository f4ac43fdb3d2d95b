#include "results/summary.h"

#include <gmock/gmock.h>

#include "tests/results/store_fixture.h"
#include "tests/results/synthetic_runs.h"

namespace moebench {
namespace {

using SummaryTest = StoreFixture;

TEST_F(SummaryTest, SaysWhatADatabaseHolds) {
  SyntheticRuns runs;
  runs.measure_perplexity(0, 25).items = {{"wiki", "0", 1, 1, std::nullopt}, {"wiki", "1", 1, 1, std::nullopt}};
  runs.use("cmoe", "S3A3E8", 0.75);
  runs.convert(0, 20);
  runs.measure(0, {{"expert_load/layer-00/entropy", "", 0.9, Direction::kHigherIsBetter}}, "expert_load");
  SyntheticRuns::fail(runs.measure_perplexity(1, 0), "out of memory");
  ResultStore store = open();
  store.set_context({.machine_class = "two cores"}, {});
  for (const RunRecord& run : runs.runs()) store.add(run);
  EXPECT_EQ(to_text(store.summary()),
            "moebench results database, schema version 1\n"
            "convert runs completed: 1\n"
            "measure runs completed: 2\n"
            "measure runs failed: 1\n"
            "items: 2\n"
            "models: tiny\n"
            "methods: cmoe, dense\n"
            "metrics: conversion/peak_memory, conversion/seconds/forward, conversion/seconds/observe, "
            "wiki/gptq-2048/ppl\n"
            "machines: two cores\n");
}

TEST_F(SummaryTest, EmptyDatabaseHasNoRuns) {
  EXPECT_EQ(to_text(open().summary()), "moebench results database, schema version 1\nno runs yet\nitems: 0\n");
}

TEST_F(SummaryTest, DatabaseIsKnownByItsFirstBytes) {
  EXPECT_FALSE(is_database_file(path_));
  write_file("SQLite format");
  EXPECT_FALSE(is_database_file(path_));
  std::filesystem::remove(path_);
  open();
  EXPECT_TRUE(is_database_file(path_));
}

}  // namespace
}  // namespace moebench
