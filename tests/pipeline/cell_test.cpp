#include "harness/pipeline/cell.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace moebench {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

CellContent sample_content() {
  CellContent cell;
  cell.label = "cmoe S3A3E8 seed 0";
  cell.stage = "convert";
  cell.identity = {{"stage", "convert"},
                   {"shape", "S3A3E8"},
                   {"seed", 0},
                   {"options", {{"propagate", "converted"}, {"markers", 10}}}};
  cell.description = {{"model", "smollm2-135m"}};
  return cell;
}

SweepCell sample_cell() { return SweepCell(sample_content()); }

RunRecord run_of(const SweepCell& cell, const std::string& status = "completed") {
  RunRecord run;
  run.uuid = cell.key().substr(0, 8) + status;
  run.cell_key = cell.key();
  run.stage = cell.stage;
  run.status = status;
  run.config = cell.config();
  return run;
}

TEST(CellTest, KeyIsTheHashOfTheIdentityAlone) {
  CellContent renamed = sample_content();
  renamed.label = "another label";
  renamed.description["model"] = "another name of the same weights";
  EXPECT_EQ(SweepCell(renamed).key(), sample_cell().key());
  CellContent other = sample_content();
  other.identity["options"]["markers"] = 11;
  EXPECT_NE(SweepCell(other).key(), sample_cell().key());
}

TEST(CellTest, KeyDoesNotDependOnTheOrderOfFields) {
  CellContent cell = sample_content();
  cell.identity = nlohmann::json::parse(
      R"({"options": {"markers": 10, "propagate": "converted"}, "seed": 0, "stage": "convert", "shape": "S3A3E8"})");
  EXPECT_EQ(SweepCell(cell).key(), sample_cell().key());
}

TEST(CellTest, ConfigHoldsDescriptionAndIdentity) {
  const nlohmann::json config = sample_cell().config();
  EXPECT_EQ(config["model"], "smollm2-135m");
  EXPECT_EQ(config["identity"]["shape"], "S3A3E8");
}

TEST(RecordedCellsTest, ACompletedRunOutweighsFailedOnes) {
  const SweepCell cell = sample_cell();
  const RecordedCells recorded({run_of(cell, "failed"), run_of(cell), run_of(cell, "failed")});
  EXPECT_EQ(recorded.state(cell.key()), CellState::kDone);
  EXPECT_EQ(recorded.completed(cell.key())->status, "completed");
}

TEST(RecordedCellsTest, KnowsFailedAndMissing) {
  const SweepCell cell = sample_cell();
  EXPECT_EQ(RecordedCells({run_of(cell, "failed")}).state(cell.key()), CellState::kFailed);
  EXPECT_EQ(RecordedCells({run_of(cell, "failed")}).completed(cell.key()), nullptr);
  EXPECT_EQ(RecordedCells({}).state(cell.key()), CellState::kMissing);
}

TEST(IdentityDifferencesTest, NamesEveryDifferingField) {
  nlohmann::json wanted = sample_content().identity;
  wanted["options"]["propagate"] = "dense";
  wanted["options"].erase("markers");
  wanted["calibration"] = {{"windows", 8}};
  EXPECT_THAT(
      identity_differences(sample_content().identity, wanted),
      ElementsAre("calibration: nothing recorded, a table of 1 wanted", "options.markers: 10 recorded, nothing wanted",
                  R"(options.propagate: "converted" recorded, "dense" wanted)"));
}

TEST(IdentityDifferencesTest, EqualIdentitiesHaveNone) {
  EXPECT_THAT(identity_differences(sample_content().identity, sample_content().identity), IsEmpty());
}

TEST(IdentityDifferencesTest, HashesAreCutShort) {
  const nlohmann::json recorded = {{"text", std::string(64, 'a')}}, wanted = {{"text", std::string(64, 'b')}};
  EXPECT_THAT(identity_differences(recorded, wanted),
              ElementsAre("text: aaaaaaaaaaaa… recorded, bbbbbbbbbbbb… wanted"));
}

TEST(NearestRunTest, IsTheCompletedRunOfTheStageWithTheFewestDifferences) {
  CellContent near = sample_content(), far = sample_content(), other = sample_content();
  near.identity["seed"] = 1;
  far.identity["seed"] = 1;
  far.identity["shape"] = "S1A3E8";
  other.stage = "measure";
  const RunRecord other_stage = run_of(SweepCell(other));
  const std::vector<RunRecord> runs = {run_of(SweepCell(far)), run_of(SweepCell(near)), run_of(sample_cell(), "failed"),
                                       other_stage};
  const RunRecord* nearest = nearest_run(sample_cell(), runs);
  ASSERT_NE(nearest, nullptr);
  EXPECT_EQ(nearest->cell_key, SweepCell(near).key());
  EXPECT_EQ(nearest_run(sample_cell(), {other_stage}), nullptr);
}

}  // namespace
}  // namespace moebench
