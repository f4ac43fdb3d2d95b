#include "harness/pipeline/sweep_plan.h"

#include <set>

#include "tests/pipeline/sweep_fixture.h"

namespace moebench {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsSubsetOf;
using testing::Not;

struct Keys {
  std::set<std::string> convert, measure, dense;
};

class SweepPlanTest : public SweepFixture {
 protected:
  SweepPlan plan(const std::vector<std::string>& settings = {}) const {
    return plan_sweep(read_sweep_spec(sweep_path(), settings));
  }

  Keys keys(const std::vector<std::string>& settings = {}) const {
    const SweepPlan planned = plan(settings);
    Keys keys;
    for (const PlannedModel& model : planned.models) {
      for (const auto& conversion : model.conversions) keys.convert.insert(conversion.cell.key());
      for (const auto& measurement : model.measurements) {
        (measurement.thing.conversion ? keys.measure : keys.dense).insert(measurement.cell.key());
      }
    }
    return keys;
  }

  std::vector<std::string> measured(const std::vector<std::string>& settings = {}) const {
    std::vector<std::string> labels;
    const SweepPlan planned = plan(settings);
    for (const auto& measurement : planned.models[0].measurements) {
      labels.push_back(measurement.cell.label.substr(0, measurement.cell.label.find(" ·")));
    }
    return labels;
  }

  std::string refusal(const std::vector<std::string>& settings = {}) const {
    try {
      plan(settings);
    } catch (const std::exception& error) {
      return error.what();
    }
    return "accepted";
  }
};

// Every key of one kind differs from every one of the other.
bool disjoint(const std::set<std::string>& left, const std::set<std::string>& right) {
  return std::none_of(left.begin(), left.end(), [&](const std::string& key) { return right.contains(key); });
}

TEST_F(SweepPlanTest, EveryRoutedMethodHasAnOracleAndAStaticControlOfItsSize) {
  EXPECT_THAT(measured({"seeds=[7]"}), ElementsAre("dense", "cmoe S3A3E8 seed 7", "cmoe S3A3E8 seed 7 oracle",
                                                   "random_split S0A4E8 seed 7", "random_split S0A4E8 seed 7 oracle",
                                                   HasSubstr("static_pruning"), HasSubstr("static_pruning")));
  std::multiset<double> ratios;
  const SweepPlan planned = plan({"seeds=[7]"});
  for (const auto& conversion : planned.models[0].conversions) {
    if (conversion.cell.description()["method"] == "static_pruning") {
      ratios.insert(conversion.cell.description()["active_ratio"].get<double>());
    }
  }
  EXPECT_THAT(ratios, ElementsAre(0.5, 0.75));
}

TEST_F(SweepPlanTest, StaticPruningInTheSweepIsTheControlOfItsSize) {
  write_sweep(std::string(kMethods) +
              "[[methods]]\nname = \"static_pruning\"\nactive_ratios = [0.5]\noptions = { compensation = \"bias\" }\n");
  EXPECT_THAT(measured({"seeds=[7]", "methods.cmoe.oracle=false", "methods.random_split.oracle=false"}),
              ElementsAre("dense", "cmoe S3A3E8 seed 7", "random_split S0A4E8 seed 7",
                          "static_pruning S4A0E8 (compensation=bias) seed 7", "static_pruning S6A0E8 seed 7"));
}

TEST_F(SweepPlanTest, ExcludedCellsAreNotPlanned) {
  write_sweep(kMethods, "[[exclude]]\nmethod = \"cmoe\"\nseed = 1\n");
  EXPECT_THAT(measured({"controls=false"}),
              ElementsAre("dense", "cmoe S3A3E8 seed 0", "random_split S0A4E8 seed 0", "random_split S0A4E8 seed 1"));
  write_sweep(kMethods, "[[exclude]]\ntask = \"perplexity\"\nshape = \"S3A3E8\"\n");
  EXPECT_EQ(plan({"controls=false"}).models[0].conversions.size(), 4u) << "converted all the same";
  EXPECT_THAT(measured({"controls=false", "seeds=[0]"}), ElementsAre("dense", "random_split S0A4E8 seed 0"));
}

TEST_F(SweepPlanTest, IncludedMethodsAndControlsAreNotExcluded) {
  write_sweep(kMethods,
              "[[exclude]]\nmethod = [\"cmoe\", \"random_split\"]\n"
              "[[include]]\nname = \"cmoe\"\nshapes = [\"S1A3E8\"]\n");
  EXPECT_THAT(measured({"seeds=[0]"}),
              ElementsAre("dense", "cmoe S1A3E8 seed 0", "cmoe S1A3E8 seed 0 oracle", "static_pruning S4A0E8 seed 0"));
}

TEST_F(SweepPlanTest, AnExcludeThatLeavesOutNothingIsAMistake) {
  write_sweep(kMethods, "[[exclude]]\nmethod = \"cmeo\"\n");
  EXPECT_THAT(refusal(), HasSubstr("unknown method 'cmeo'; did you mean 'cmoe'?"));
  write_sweep(kMethods, "[[exclude]]\nmethod = \"cmoe\"\nactive_ratio = 0.3\n");
  EXPECT_THAT(refusal(), HasSubstr("leaves out nothing"));
  write_sweep(kMethods, "[[exclude]]\nseed = [0, 1]\n");
  EXPECT_THAT(refusal(), HasSubstr("leave nothing of it"));
}

TEST_F(SweepPlanTest, LabelsNameOptionsThatDifferFromTheirDefaults) {
  EXPECT_THAT(measured({"seeds=[7]", "methods.cmoe.options.propagate=dense"}),
              Contains("cmoe S3A3E8 (propagate=dense) seed 7 oracle"));
}

TEST_F(SweepPlanTest, ControlsCanBeLeftOut) {
  EXPECT_THAT(measured({"seeds=[7]", "controls=false", "methods.cmoe.oracle=true"}),
              ElementsAre("dense", "cmoe S3A3E8 seed 7", "cmoe S3A3E8 seed 7 oracle", "random_split S0A4E8 seed 7"));
  EXPECT_THAT(measured({"seeds=[7]", "methods.cmoe.oracle=false"}), Not(Contains("cmoe S3A3E8 seed 7 oracle")));
}

TEST_F(SweepPlanTest, TheDenseParentIsMeasuredOnceWhateverTheSeeds) {
  EXPECT_EQ(keys({"seeds=[0, 1, 2]"}).dense.size(), 1u);
  EXPECT_EQ(keys({"seeds=[0, 1, 2]"}).dense, keys({"seeds=[9]"}).dense);
}

TEST_F(SweepPlanTest, TheSameConversionIsPlannedOnce) {
  write_sweep(
      "[[methods]]\nname = \"cmoe\"\nshapes = [\"S3A3E8\", \"S3A3E8\"]\n"
      "[[methods]]\nname = \"cmoe\"\nshapes = [\"S3A3E8W12\"]\n");
  EXPECT_EQ(keys({"controls=false", "seeds=[0]"}).convert.size(), 1u);
}

TEST_F(SweepPlanTest, KeysOutliveRenamingAndReordering) {
  const Keys before = keys();
  std::filesystem::copy(folder_ / "model", folder_ / "copy");
  std::filesystem::copy(folder_ / "train.txt", folder_ / "copy.txt");
  const Keys moved = keys({"model.path=" + (folder_ / "copy").string(),
                           "calibration.texts=[\"" + (folder_ / "copy.txt").string() + "\"]", "name=other"});
  EXPECT_EQ(moved.convert, before.convert);
  EXPECT_EQ(moved.measure, before.measure);
  write_sweep(
      "[[methods]]\noptions = {}\nshapes = [\"S0A4E8\"]\nname = \"random_split\"\n"
      "[[methods]]\nshapes = [\"S3A3E8\"]\nname = \"cmoe\"\n");
  EXPECT_EQ(keys().convert, before.convert);
  EXPECT_EQ(keys().measure, before.measure);
}

TEST_F(SweepPlanTest, AnOptionGivenAtItsDefaultChangesNoKey) {
  EXPECT_EQ(keys({"methods.cmoe.options.propagate=converted", "model.dtype=float32"}).convert, keys().convert);
}

TEST_F(SweepPlanTest, WhatDecidesAConversionChangesItsKeyAndThatOfItsMeasurements) {
  const std::vector<std::string> base = {"controls=false", "seeds=[0]"};
  const Keys before = keys(base);
  for (const char* setting : {"seeds=[1]", "model.dtype=bfloat16", "calibration.windows=3", "calibration.window=40"}) {
    const Keys after = keys({"controls=false", "seeds=[0]", setting});
    EXPECT_TRUE(disjoint(before.convert, after.convert)) << setting;
    EXPECT_TRUE(disjoint(before.measure, after.measure)) << setting;
  }
  folder_.write("train.txt", text("Another text in the same place, line "));
  EXPECT_TRUE(disjoint(before.convert, keys(base).convert));
  EXPECT_TRUE(disjoint(before.measure, keys(base).measure));
  EXPECT_EQ(before.dense, keys(base).dense) << "the dense parent is not calibrated";
}

TEST_F(SweepPlanTest, AMethodThatReadsNoTextDoesNotDependOnIt) {
  write_sweep("[[methods]]\nname = \"random_split\"\nshapes = [\"S0A4E8\"]\noptions = { router = \"llama_moe\" }\n");
  const Keys before = keys({"controls=false"});
  EXPECT_EQ(before.convert.size(), 2u) << "one a seed";
  EXPECT_EQ(keys({"controls=false", "calibration.windows=3"}).convert, before.convert);
}

TEST_F(SweepPlanTest, AnOptionChangesTheKeysOfItsMethodAlone) {
  const std::vector<std::string> base = {"controls=false", "seeds=[0]"};
  std::vector<std::string> changed = base;
  changed.push_back("methods.cmoe.options.propagate=dense");
  std::vector<std::string> common;
  const std::set<std::string> before = keys(base).convert, after = keys(changed).convert;
  std::set_intersection(before.begin(), before.end(), after.begin(), after.end(), std::back_inserter(common));
  EXPECT_EQ(before.size(), 2u);
  EXPECT_EQ(common.size(), 1u);
}

TEST_F(SweepPlanTest, OtherWeightsChangeEveryKey) {
  const Keys before = keys();
  TinyCheckpointOptions other;
  other.seed = 2;
  write_tiny_checkpoint(folder_ / "model", other);
  const Keys after = keys();
  EXPECT_TRUE(disjoint(before.convert, after.convert));
  EXPECT_TRUE(disjoint(before.measure, after.measure));
  EXPECT_TRUE(disjoint(before.dense, after.dense));
}

TEST_F(SweepPlanTest, WhatOnlyDecidesAMeasurementLeavesConversionsAlone) {
  const Keys before = keys();
  const Keys fewer = keys({"tasks.perplexity.options.max_windows=3"});
  EXPECT_EQ(before.convert, fewer.convert);
  EXPECT_TRUE(disjoint(before.measure, fewer.measure));
  EXPECT_TRUE(disjoint(before.dense, fewer.dense));
  folder_.write("test.txt", text("Another text to be measured on, line "));
  EXPECT_EQ(before.convert, keys().convert);
  EXPECT_TRUE(disjoint(before.measure, keys().measure));
}

TEST_F(SweepPlanTest, MoreSeedsAndTasksKeepTheKeysThatWere) {
  const Keys before = keys({"seeds=[0]"});
  write_sweep(kMethods, "[[tasks]]\nname = \"activated_parameters\"\noptions = { text = \"" +
                            (folder_ / "test.txt").string() + "\", window = 48 }\n");
  const Keys after = keys({"seeds=[0, 1, 2]"});
  EXPECT_THAT(before.convert, IsSubsetOf(after.convert));
  EXPECT_THAT(before.measure, IsSubsetOf(after.measure));
}

TEST_F(SweepPlanTest, UnknownNamesAreRefusedWithTheirPlace) {
  EXPECT_THAT(refusal({"methods.cmoe.options.propagat=dense"}), HasSubstr("tiny.toml:9: cmoe: unknown option"));
  EXPECT_THAT(refusal({"methods.0.name=cmeo"}), HasSubstr("tiny.toml:9: unknown name 'cmeo'; did you mean 'cmoe'?"));
  EXPECT_THAT(refusal({"tasks.0.name=perplexty"}), HasSubstr("did you mean 'perplexity'?"));
  EXPECT_THAT(refusal({"tasks.0.options.window=x"}), HasSubstr("'window' wants a whole number"));
}

TEST_F(SweepPlanTest, MissingInputsAreRefused) {
  EXPECT_THAT(refusal({"model.path=nowhere"}), HasSubstr("nowhere"));
  EXPECT_THAT(refusal({"calibration.texts=[\"nowhere\"]"}), HasSubstr("nowhere"));
}

TEST_F(SweepPlanTest, TheSameModelTwiceIsRefused) {
  std::filesystem::copy(folder_ / "model", folder_ / "copy");
  SweepSpec spec = read_sweep_spec(sweep_path());
  const std::string model = spec.models[0].path, copy = (folder_ / "copy").string();
  spec.models.push_back({.path = copy});
  try {
    plan_sweep(spec);
    FAIL() << "accepted";
  } catch (const std::invalid_argument& error) {
    EXPECT_EQ(error.what(), "models: the 1. (" + model + ") and the 2. (" + copy +
                                ") are the same weights in float32 on cpu; leave one out");
  }
  spec.models[1].dtype = "bfloat16";
  EXPECT_EQ(plan_sweep(spec).models.size(), 2u);
}

TEST_F(SweepPlanTest, AMethodThatReadsTextNeedsCalibration) {
  std::ofstream(sweep_path()) << "name = \"tiny\"\n[model]\npath = \"" << (folder_ / "model").string() << "\"\n"
                              << kMethods << "[[tasks]]\nname = \"perplexity\"\n";
  EXPECT_THAT(refusal(), HasSubstr("tiny.toml:4: cmoe reads text, but the sweep has no table [calibration]"));
}

TEST_F(SweepPlanTest, AShapeThatDoesNotFitIsItsCellsErrorAlone) {
  write_sweep("[[methods]]\nname = \"cmoe\"\nshapes = [\"S3A3E7\", \"S3A3E8\"]\n");
  const SweepPlan planned = plan({"seeds=[0]", "controls=false"});
  const auto& conversions = planned.models[0].conversions;
  ASSERT_EQ(conversions.size(), 2u);
  EXPECT_THAT(conversions[0].cell.error, HasSubstr("7 experts do not share out 96 neurons"));
  EXPECT_EQ(conversions[1].cell.error, "");
}

TEST_F(SweepPlanTest, AMissingTaskTextIsItsCellsErrorAlone) {
  write_sweep(kMethods, "[[tasks]]\nname = \"perplexity\"\noptions = { text = \"nowhere\" }\n");
  const SweepPlan planned = plan();
  for (const auto& measurement : planned.models[0].measurements) {
    EXPECT_EQ(measurement.cell.error.empty(), measurement.task == 0) << measurement.cell.label;
  }
}

TEST_F(SweepPlanTest, MeasuringOnCalibrationTextIsMarked) {
  const auto overlap = [&](const std::string& calibrated) {
    const SweepPlan planned = plan({"calibration.texts=[\"" + (folder_ / calibrated).string() + "\"]"});
    return planned.models[0].measurements.back().cell.description()["calibration"]["overlap"];
  };
  EXPECT_EQ(overlap("train.txt"), false);
  EXPECT_EQ(overlap("test.txt"), true);
}

TEST_F(SweepPlanTest, MeasuringOnAFolderThatHoldsCalibrationTextIsMarked) {
  folder_.write("domains/first.txt", "A text of one line that no other file of these has in it.");
  folder_.write("domains/second.txt", read_file(folder_ / "train.txt"));
  write_sweep(kMethods, "[[tasks]]\nname = \"perplexity\"\noptions = { text = \"" + (folder_ / "domains").string() +
                            "\", window = 16 }\n");
  const auto overlap = [&](const std::string& calibrated) {
    const SweepPlan planned = plan({"calibration.texts=[\"" + (folder_ / calibrated).string() + "\"]"});
    return planned.models[0].measurements.back().cell.description()["calibration"]["overlap"];
  };
  EXPECT_EQ(overlap("test.txt"), false);
  EXPECT_EQ(overlap("train.txt"), true);
}

}  // namespace
}  // namespace moebench
