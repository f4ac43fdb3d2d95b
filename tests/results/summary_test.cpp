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
  SyntheticRuns::fail(runs.measure_perplexity(1, 0), "out of\nmemory");
  ResultStore store = open();
  store.set_context({.machine_class = "two cores"}, {});
  for (const RunRecord& run : runs.runs()) store.add(run);
  EXPECT_EQ(store.summary(), nlohmann::ordered_json::parse(R"json({
    "schema_version": 2,
    "runs": {"convert completed": 1, "measure completed": 2, "measure failed": 1},
    "failures": {"out of memory": 1},
    "items": 2,
    "models": ["tiny"],
    "methods": ["cmoe", "dense"],
    "metrics": ["conversion/peak_memory", "conversion/seconds", "conversion/seconds/forward",
                "conversion/seconds/observe", "wiki/gptq-2048/ppl"],
    "machines": ["two cores"]
  })json"));
}

TEST_F(SummaryTest, NewDatabaseHoldsNothing) {
  const auto summary = open().summary();
  EXPECT_EQ(summary["runs"], nlohmann::ordered_json::object());
  EXPECT_EQ(summary["items"], 0);
  EXPECT_EQ(summary["models"], nlohmann::ordered_json::array());
}

}  // namespace
}  // namespace moebench
