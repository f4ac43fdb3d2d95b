#include "results/result_store.h"

#include <cmath>
#include <limits>

#include <gmock/gmock.h>

#include "tests/results/store_fixture.h"

namespace moebench {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;
using ResultStoreTest = StoreFixture;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

RunRecord full_run() {
  return {.uuid = "0d9c",
          .cell_key = "f00d",
          .stage = "measure",
          .status = "completed",
          .seed = -3,
          .started = 1700000000.25,
          .ended = 1700000003.5,
          .exit_code = 0,
          .error = "",
          .config = {{"model", "größe"}, {"task", "perplexity"}, {"task_options", {{"window", 16}}}, {"ratio", 0.1}},
          .dataset = DatasetRecord{"wiki", "test", "c0", "70", 1234},
          .model = ModelRecord{"converted", "beef", "cafe", "models/a.moe", "llama", {{"layers", 30}}},
          .metrics = {{"wiki/gptq-16/ppl", "", 23.703125, Direction::kLowerIsBetter, 4, 0.125},
                      {"wiki/gptq-16/accuracy", "share", 0.1, Direction::kHigherIsBetter, 1000, std::nullopt},
                      {"expert_load/entropy", "nat", -0.0, Direction::kNeither, 1, std::nullopt}},
          .items = {{"wiki/gptq-16", "2", 41.5, 15, std::nullopt},
                    {"wiki/gptq-16", "10", 40.25, 15, true, "page 3"},
                    {"other", "doc \"1\"", 3, 1, false}},
          .artifacts = {{"conversion", "a.safetensors", "abcd", 4096}, {"log", "a.log", "ef", 0}}};
}

void expect_equal(const Metric& actual, const Metric& expected) {
  EXPECT_EQ(actual.name, expected.name);
  EXPECT_EQ(actual.unit, expected.unit);
  EXPECT_EQ(actual.value, expected.value);
  EXPECT_EQ(actual.direction, expected.direction);
  EXPECT_EQ(actual.n, expected.n);
  EXPECT_EQ(actual.standard_error, expected.standard_error);
}

TEST_F(ResultStoreTest, RunComesBackAsItWasStored) {
  const RunRecord stored = full_run();
  ResultStore store = open();
  store.set_context({.cpu = "cpu", .machine_class = "two-cores"}, {.git_commit = "1a2b", .dirty = true});
  store.add(stored);

  const RunRecord run = store.runs().at(0);
  EXPECT_EQ(run.uuid, stored.uuid);
  EXPECT_EQ(run.cell_key, stored.cell_key);
  EXPECT_EQ(run.stage, stored.stage);
  EXPECT_EQ(run.status, stored.status);
  EXPECT_EQ(run.seed, stored.seed);
  EXPECT_EQ(run.started, stored.started);
  EXPECT_EQ(run.ended, stored.ended);
  EXPECT_EQ(run.config, stored.config);
  EXPECT_EQ(run.dataset->name, "wiki");
  EXPECT_EQ(run.dataset->split, "test");
  EXPECT_EQ(run.dataset->content_hash, "c0");
  EXPECT_EQ(run.dataset->tokenizer_hash, "70");
  EXPECT_EQ(run.dataset->tokens, 1234);
  EXPECT_EQ(run.model->role, "converted");
  EXPECT_EQ(run.model->weights_hash, "beef");
  EXPECT_EQ(run.model->parent_weights_hash, "cafe");
  EXPECT_EQ(run.model->path, "models/a.moe");
  EXPECT_EQ(run.model->architecture, "llama");
  EXPECT_EQ(run.model->details, stored.model->details);
  ASSERT_THAT(run.metrics, SizeIs(3));
  for (size_t metric = 0; metric < 3; ++metric) expect_equal(run.metrics[metric], stored.metrics[metric]);
  ASSERT_THAT(run.artifacts, SizeIs(2));
  EXPECT_EQ(run.artifacts[0].path, "a.safetensors");
  EXPECT_EQ(run.artifacts[0].bytes, 4096);
  EXPECT_EQ(run.artifacts[1].kind, "log");
  EXPECT_EQ(run.machine_class, "two-cores");
  EXPECT_EQ(run.build, "1a2b (modified)");
}

TEST_F(ResultStoreTest, ItemsComeByTaskThenNumber) {
  ResultStore store = open();
  store.add(full_run());
  const std::vector<Item> items = store.items("0d9c");
  ASSERT_THAT(items, SizeIs(3));
  EXPECT_EQ(items[0].id, "doc \"1\"");
  EXPECT_EQ(items[0].correct, false);
  EXPECT_EQ(items[1].id, "2");
  EXPECT_EQ(items[1].nll, 41.5);
  EXPECT_EQ(items[1].tokens, 15);
  EXPECT_EQ(items[1].correct, std::nullopt);
  EXPECT_EQ(items[1].cluster, "");
  EXPECT_EQ(items[2].id, "10");
  EXPECT_EQ(items[2].correct, true);
  EXPECT_EQ(items[2].cluster, "page 3");
  EXPECT_THAT(store.items("nobody"), SizeIs(0));
}

TEST_F(ResultStoreTest, DivergedValuesAreResults) {
  RunRecord run = sample_run("a");
  run.metrics = {{"nan", "", std::nan(""), Direction::kLowerIsBetter, 1, std::nan("")},
                 {"plus", "", kInfinity, Direction::kLowerIsBetter, 1, kInfinity},
                 {"minus", "", -kInfinity}};
  run.items = {{"task", "1", std::nan(""), 1, std::nullopt}, {"task", "2", kInfinity, 1, std::nullopt}};
  ResultStore store = open();
  store.add(run);
  const std::vector<Metric> metrics = store.runs().at(0).metrics;
  EXPECT_TRUE(std::isnan(metrics[0].value));
  EXPECT_EQ(metrics[0].standard_error, std::nullopt);
  EXPECT_EQ(metrics[1].value, kInfinity);
  EXPECT_EQ(metrics[1].standard_error, kInfinity);
  EXPECT_EQ(metrics[2].value, -kInfinity);
  EXPECT_TRUE(std::isnan(store.items("uuid-a")[0].nll));
  EXPECT_EQ(store.items("uuid-a")[1].nll, kInfinity);
}

TEST_F(ResultStoreTest, SecondCompletedRunOfACellIsIgnored) {
  ResultStore store = open();
  RunRecord second = sample_run("a");
  second.uuid = "another";
  store.add(sample_run("a"));
  store.add(second);
  ASSERT_THAT(store.runs(), SizeIs(1));
  EXPECT_EQ(store.runs()[0].uuid, "uuid-a");
}

TEST_F(ResultStoreTest, LaterRunReplacesAFailedOne) {
  ResultStore store = open();
  RunRecord first = failed_run("a"), second = failed_run("a");
  first.uuid = "failed-1";
  first.items = {{"task", "1", 1, 1, std::nullopt}};
  second.uuid = "failed-2";
  store.add(first);
  store.add(second);
  ASSERT_THAT(store.runs(), SizeIs(1));
  EXPECT_EQ(store.runs()[0].uuid, "failed-2");
  EXPECT_THAT(store.items("failed-1"), SizeIs(0));
  store.add(sample_run("a"));
  ASSERT_THAT(store.runs(), SizeIs(1));
  EXPECT_EQ(store.runs()[0].status, "completed");
}

TEST_F(ResultStoreTest, ForgottenCellIsDoneAnew) {
  ResultStore store = open();
  store.add(full_run());
  store.add(sample_run("other"));
  store.forget("f00d");
  EXPECT_THAT(store.items("0d9c"), SizeIs(0));
  ASSERT_THAT(store.runs(), SizeIs(1));
  EXPECT_EQ(store.runs()[0].cell_key, "cell-other");
  store.add(full_run());
  EXPECT_THAT(store.runs().at(1).artifacts, SizeIs(2));
}

TEST_F(ResultStoreTest, FailureOfACompletedCellIsIgnored) {
  ResultStore store = open();
  store.add(sample_run("a"));
  RunRecord failure = failed_run("a");
  failure.uuid = "late";
  store.add(failure);
  ASSERT_THAT(store.runs(), SizeIs(1));
  EXPECT_EQ(store.runs()[0].status, "completed");
}

TEST_F(ResultStoreTest, FailureKeepsItsReason) {
  ResultStore store = open();
  store.add(failed_run("a"));
  const RunRecord run = store.runs().at(0);
  EXPECT_EQ(run.status, "failed");
  EXPECT_EQ(run.error, "out of memory");
  EXPECT_EQ(run.exit_code, 4);
}

TEST_F(ResultStoreTest, RunsComeInOrderOfStarting) {
  ResultStore store = open();
  RunRecord late = sample_run("late"), early = sample_run("early");
  late.started = 200;
  store.add(late);
  store.add(early);
  EXPECT_EQ(store.runs()[0].uuid, "uuid-early");
  EXPECT_EQ(store.runs()[1].uuid, "uuid-late");
}

TEST_F(ResultStoreTest, ParentMayBeRecordedAfterItsChild) {
  ResultStore store = open();
  RunRecord child = sample_run("child"), parent = sample_run("parent");
  child.model = ModelRecord{"converted", "child-hash", "parent-hash", "", "", nlohmann::json::object()};
  parent.model = ModelRecord{"dense", "parent-hash", "", "dense.gguf", "llama", nlohmann::json::object()};
  store.add(child);
  store.add(parent);
  EXPECT_EQ(store.runs().at(0).model->parent_weights_hash, "parent-hash");
  EXPECT_EQ(store.runs().at(1).model->path, "dense.gguf");
}

TEST_F(ResultStoreTest, RefusedRunLeavesNothing) {
  ResultStore store = open();
  const auto refusal = [&](RunRecord run) {
    try {
      store.add(run);
    } catch (const std::invalid_argument& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  RunRecord run = sample_run("a");
  run.metrics.push_back(run.metrics[0]);
  EXPECT_THAT(refusal(run), HasSubstr("run 'uuid-a': metric 'text/gptq-16/ppl' is there twice"));
  run = sample_run("a");
  run.items = {{"task", "7", 1, 1, std::nullopt}, {"task", "7", 2, 1, std::nullopt}};
  EXPECT_THAT(refusal(run), HasSubstr("item '7' of task is there twice"));
  run = sample_run("a");
  run.status = "done";
  EXPECT_THAT(refusal(run), HasSubstr("status 'done'"));
  run = sample_run("a");
  run.config["model"] = "\xff";
  EXPECT_THAT(refusal(run), HasSubstr("config of a run holds text that is not UTF-8"));
  run = sample_run("a");
  run.cell_key = "";
  EXPECT_THAT(refusal(run), HasSubstr("no cell_key"));
  EXPECT_THAT(store.runs(), SizeIs(0));

  store.add(sample_run("a"));
  run = sample_run("b");
  run.uuid = "uuid-a";
  EXPECT_THAT(refusal(run), HasSubstr("run.uuid"));
  EXPECT_THAT(store.runs(), SizeIs(1));
}

TEST_F(ResultStoreTest, ClosedStoreIsOneFile) {
  open().add(sample_run("a"));
  EXPECT_THAT(files_in_folder(), ElementsAre("results.sqlite"));
  EXPECT_THAT(open(ResultStore::Mode::kReadOnly).runs(), SizeIs(1));
  EXPECT_THAT(files_in_folder(), ElementsAre("results.sqlite"));
}

}  // namespace
}  // namespace moebench
