// Sweeps that retrain: marks, recipes, calibration and adjustments of a method's own.
#include <map>
#include <set>
#include <sstream>

#include "harness/error.h"
#include "harness/pipeline/plan_status.h"
#include "harness/pipeline/sweep_run.h"
#include "tests/pipeline/sweep_fixture.h"

namespace moebench {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

class SweepRetrainingTest : public SweepFixture {
 protected:
  // One method, retrained; more goes below it.
  void write(const std::string& retraining, const std::string& more = "") const {
    write_sweep("[[methods]]\nname = \"cmoe\"\nshapes = [\"S3A3E8\"]\noracle = false\n" + more,
                "[retraining]\ntexts = [\"" + (folder_ / "train.txt").string() + "\"]\nwindow = 32\n" + retraining);
  }

  SweepPlan plan(const std::vector<std::string>& settings = {}) const {
    std::vector<std::string> all = {"seeds=[0]"};
    all.insert(all.end(), settings.begin(), settings.end());
    return plan_sweep(read_sweep_spec(sweep_path(), all));
  }

  static std::vector<std::string> measured(const SweepPlan& plan) {
    std::vector<std::string> labels;
    for (const auto& measurement : plan.models[0].measurements) {
      labels.push_back(measurement.cell.label.substr(0, measurement.cell.label.find(" ·")));
    }
    return labels;
  }

  // progress_clock: what is asked for the time, between steps; may throw to end the sweep.
  SweepOutcome run(
      const SweepPlan& plan, std::function<double()> progress_clock = [] { return 0.0; }) const {
    const ArtifactFolder artifacts(folder_ / "tiny.sqlite");
    ResultStore store(folder_ / "tiny.sqlite", ResultStore::Mode::kReadWrite);
    std::ostringstream log;
    SweepProgress progress(log, false, std::move(progress_clock));
    std::filesystem::create_directories(folder_ / "tiny.sqlite.artifacts");
    return run_sweep(plan, store, artifacts, progress);
  }

  std::vector<RunRecord> runs(const std::string& stage) const {
    std::vector<RunRecord> found = ResultStore(folder_ / "tiny.sqlite", ResultStore::Mode::kReadOnly).runs();
    std::erase_if(found, [&](const RunRecord& run) { return run.stage != stage; });
    return found;
  }
};

TEST_F(SweepRetrainingTest, EveryMarkIsMeasuredAndSoIsTheDenseParentRetrained) {
  write("tokens = [0, 64, 256]\n");
  EXPECT_THAT(measured(plan({"controls=false"})),
              ElementsAre("dense", "cmoe S3A3E8 seed 0", "cmoe S3A3E8 seed 0 retrained on 64 of 256 tokens (common)",
                          "cmoe S3A3E8 seed 0 retrained on 256 of 256 tokens (common)"));
  EXPECT_THAT(measured(plan()),
              testing::IsSupersetOf({HasSubstr("static_pruning S6A0E8 seed 0 retrained on 64 of 256 tokens (common)"),
                                     HasSubstr("dense S1A0E1 seed 0 retrained on 256 of 256 tokens (common)")}));
  EXPECT_EQ(plan({"retraining.dense=false"}).models[0].retrainings.size(), 2u);
}

TEST_F(SweepRetrainingTest, WithoutTheMarkZeroTheUntrainedIsNotMeasured) {
  write("tokens = [64]\n");
  EXPECT_THAT(measured(plan({"controls=false"})),
              ElementsAre("dense", "cmoe S3A3E8 seed 0 retrained on 64 of 64 tokens (common)"));
}

TEST_F(SweepRetrainingTest, AMethodMayHaveMarksRecipeAndSeedsOfItsOwn) {
  write("tokens = [0, 64]\n", "retrain_tokens = [32]\nrecipe = \"common_warm_up\"\nseeds = [5]\n");
  EXPECT_THAT(measured(plan({"controls=false"})),
              ElementsAre("dense", "cmoe S3A3E8 seed 5 retrained on 32 of 32 tokens (common_warm_up)"));
}

TEST_F(SweepRetrainingTest, WhatDecidesARetrainingChangesItsKeysButNotTheConversions) {
  write("tokens = [64]\n");
  const auto keys = [&](const std::vector<std::string>& settings) {
    const SweepPlan planned = plan(settings);
    return std::pair(planned.models[0].conversions.front().cell.key(),
                     planned.models[0].retrainings.front().cells.front().key());
  };
  const auto [conversion, retraining] = keys({});
  std::set<std::string> seen = {retraining};
  for (const char* setting :
       {"retraining.tokens=[32]", "retraining.tokens=[64,128]", "retraining.window=16", "retraining.dtype=bfloat16",
        "retraining.recipe=common_warm_up", "retraining.settings.learning_rate=1e-3"}) {
    const auto [same, changed] = keys({setting});
    EXPECT_EQ(same, conversion) << setting;
    EXPECT_TRUE(seen.insert(changed).second) << setting;
  }
}

TEST_F(SweepRetrainingTest, ARecipeThatTheMethodLacksFailsItsRowsAlone) {
  write("tokens = [0, 64]\nrecipe = \"published\"\n",
        "[[methods]]\nname = \"random_split\"\nshapes = [\"S0A4E8\"]\noracle = false\n");
  const SweepOutcome outcome = run(plan({"controls=false"}));
  EXPECT_EQ(outcome.failed, 1);
  ASSERT_EQ(runs("retrain").size(), 2u);
  for (const RunRecord& run : runs("retrain")) {
    EXPECT_EQ(run.status, run.config["method"] == "cmoe" ? "completed" : "failed") << run.error;
  }
  EXPECT_EQ(runs("measure").size(), 4u) << "dense, both untrained, cmoe retrained";
}

TEST_F(SweepRetrainingTest, RunsOnceThroughAllMarksAndIsThenReused) {
  write("tokens = [0, 64, 192]\n");
  const SweepPlan planned = plan({"controls=false"});
  const SweepOutcome first = run(planned);
  EXPECT_EQ(first.failed, 0);
  EXPECT_EQ(first.computed, 1 + 2 + 4);
  const std::vector<RunRecord> retrained = runs("retrain");
  ASSERT_EQ(retrained.size(), 2u);
  for (const RunRecord& run : retrained) {
    EXPECT_EQ(run.model->role, "retrained");
    EXPECT_TRUE(std::filesystem::exists(folder_ / run.artifacts.front().path));
  }
  EXPECT_FALSE(std::filesystem::exists(folder_ / "tiny.sqlite.artifacts" /
                                       (planned.models[0].retrainings[0].cells.back().key() + ".state.safetensors")));
  const SweepOutcome again = run(planned);
  EXPECT_EQ(again.computed, 0);
  EXPECT_EQ(again.reused, 7);
}

TEST_F(SweepRetrainingTest, InterruptedAnywhereItGoesOnToTheSameNumbers) {
  write("tokens = [0, 64, 192]\n");
  const SweepPlan planned = plan({"controls=false"});
  const auto numbers = [&] {
    std::map<std::string, double> found;
    for (const RunRecord& run : runs("measure")) {
      for (const Metric& metric : run.metrics) found[run.cell_key + metric.name] = metric.value;
    }
    return found;
  };
  run(planned);
  const std::map<std::string, double> expected = numbers();
  ASSERT_EQ(runs("measure").size(), 4u);

  struct Interruption {};
  int interruptions = 0;
  for (int64_t calls = 2;; calls += 3) {
    std::filesystem::remove(folder_ / "tiny.sqlite");
    std::filesystem::remove_all(folder_ / "tiny.sqlite.artifacts");
    int64_t left = calls;
    const auto clock = [&] { return left-- > 0 ? 0.0 : throw Interruption(); };
    try {
      run(planned, clock);
      break;
    } catch (const Interruption&) {
      ++interruptions;
    }
    EXPECT_EQ(run(planned).failed, 0);
    EXPECT_EQ(numbers(), expected) << "after " << calls << " readings of the clock";
  }
  EXPECT_GT(interruptions, 4);
}

TEST_F(SweepRetrainingTest, TextThatIsRetrainedOnAndMeasuredIsMarked) {
  write("tokens = [64]\n");
  run(plan({"controls=false", "tasks.perplexity.options.text=" + (folder_ / "train.txt").string()}));
  std::map<int64_t, bool> overlap;
  for (const RunRecord& run : runs("measure")) {
    overlap[run.config["retrained_tokens"].get<int64_t>()] =
        run.config.contains("retraining") && run.config["retraining"].value("overlap", false);
  }
  EXPECT_EQ(overlap, (std::map<int64_t, bool>{{0, false}, {64, true}}));
}

TEST_F(SweepRetrainingTest, TheSameRetrainingAskedForOtherMarksStopsAtAllAndAMeasurementIsOfTheMarkThatItNames) {
  for (const auto& [first, second] : {std::pair("[0, 64, 256]", "[32, 256]"), {"[32, 256]", "[0, 64, 256]"}}) {
    write(std::string("tokens = ") + first + "\n",
          std::string("[[methods]]\nname = \"cmoe\"\nshapes = [\"S3A3E8\"]\noracle = false\nretrain_tokens = ") +
              second + "\n");
    const SweepPlan planned = plan({"controls=false"});
    const PlannedModel& model = planned.models[0];
    std::set<int64_t> measured;
    for (const PlannedMeasurement& measurement : model.measurements) {
      if (!measurement.thing.retraining) continue;
      const PlannedRetraining& retraining = model.retrainings.at(*measurement.thing.retraining);
      EXPECT_EQ(measurement.cell.identity()["retraining"], retraining.cells.at(measurement.thing.mark).identity())
          << measurement.cell.label;
      EXPECT_TRUE(measured.insert(retraining.marks.at(measurement.thing.mark)).second);
    }
    EXPECT_EQ(measured, (std::set<int64_t>{32, 64, 256}));
    EXPECT_EQ(model.retrainings.size(), 1u);
  }
}

TEST_F(SweepRetrainingTest, AMethodMayCalibrateOnTextOfItsOwn) {
  folder_.write("other.txt", text("Entirely different words make up this other text, line "));
  write("tokens = [0]\n", "[methods.calibration]\ntexts = [\"" + (folder_ / "other.txt").string() +
                              "\"]\nwindows = 3\nwindow = 40\n[[methods]]\nname = \"cmoe\"\nshapes = [\"S3A3E8\"]\n");
  const SweepPlan planned = plan({"controls=false"});
  ASSERT_EQ(planned.models[0].conversions.size(), 2u);
  EXPECT_NE(planned.models[0].conversions[0].cell.key(), planned.models[0].conversions[1].cell.key());
  EXPECT_EQ(planned.models[0].conversions[0].cell.description()["calibration"]["tokens"], 120);
  EXPECT_EQ(planned.models[0].conversions[1].cell.description()["calibration"]["tokens"], 96);
  EXPECT_EQ(run(planned).failed, 0);
}

TEST_F(SweepRetrainingTest, AdjustmentsAreConversionsOfTheirOwnAndShownAsOptions) {
  write("tokens = [0]\n",
        "adjust = { compensation = \"mean\" }\n[[methods]]\nname = \"cmoe\"\nshapes = [\"S3A3E8\"]\n");
  const SweepPlan planned = plan({"controls=false"});
  EXPECT_THAT(measured(planned),
              ElementsAre("dense", "cmoe S3A3E8 (adjust.compensation=mean) seed 0", "cmoe S3A3E8 seed 0"));
  EXPECT_EQ(run(planned).failed, 0);
}

}  // namespace
}  // namespace moebench
