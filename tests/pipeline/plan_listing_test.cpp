#include "harness/pipeline/plan_listing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace moebench {
namespace {

using testing::HasSubstr;
using testing::Not;

SweepCell convert_cell(int64_t seed) {
  return SweepCell({.label = "cmoe S3A3E8 seed " + std::to_string(seed),
                    .stage = "convert",
                    .identity = {{"stage", "convert"}, {"seed", seed}}});
}

RunRecord completed_run(const SweepCell& cell) {
  RunRecord run;
  run.uuid = "0123456789";
  run.cell_key = cell.key();
  run.stage = cell.stage;
  run.status = "completed";
  run.config = cell.config();
  return run;
}

class PlanListingTest : public testing::Test {
 protected:
  const SweepCell done_ = convert_cell(0), missing_ = convert_cell(1), failed_ = convert_cell(2);
  const std::vector<SweepCellStatus> statuses_ = {
      {&done_, CellState::kDone, ""},
      {&missing_, CellState::kMissing, ""},
      {&failed_, CellState::kFailed, "8 experts do not share out 100 neurons"}};
  const RecordedCells recorded_{{completed_run(done_)}};
};

TEST_F(PlanListingTest, ListsStatesAndTotals) {
  const std::string text = list_cells(statuses_, recorded_, false);
  EXPECT_THAT(text, HasSubstr("done     convert  " + done_.key().substr(0, 12) + "  cmoe S3A3E8 seed 0\n"));
  EXPECT_THAT(text, HasSubstr("missing  convert  " + missing_.key().substr(0, 12)));
  EXPECT_THAT(text, HasSubstr("8 experts do not share out 100 neurons"));
  EXPECT_THAT(text, HasSubstr("3 cells: 1 done, 1 missing, 1 failed\n"));
  EXPECT_THAT(text, Not(HasSubstr("miss:")));
}

TEST_F(PlanListingTest, WhyNamesTheHitAndTheFieldThatDiffers) {
  const std::string text = list_cells(statuses_, recorded_, true);
  EXPECT_THAT(text, HasSubstr("hit: run 01234567"));
  EXPECT_THAT(text, HasSubstr("miss: nearest is run 01234567"));
  EXPECT_THAT(text, HasSubstr("seed: 0 recorded, 1 wanted"));
  EXPECT_THAT(text, HasSubstr("miss: 8 experts do not share out"));
}

TEST_F(PlanListingTest, BlockedCellsAreCountedApart) {
  const std::string text =
      list_cells({{&missing_, CellState::kBlocked, "its conversion failed: no room"}}, recorded_, true);
  EXPECT_THAT(text, HasSubstr("blocked  convert"));
  EXPECT_THAT(text, HasSubstr("miss: its conversion failed: no room\n"));
  EXPECT_THAT(text, HasSubstr("1 cells: 0 done, 0 missing, 0 failed, 1 blocked\n"));
}

TEST_F(PlanListingTest, WhyComparesWithARunOfUnknownIdentity) {
  RunRecord run = completed_run(done_);
  run.config.erase("identity");
  EXPECT_THAT(list_cells({{&missing_, CellState::kMissing, ""}}, RecordedCells({run}), true),
              HasSubstr("seed: nothing recorded, 1 wanted"));
}

TEST_F(PlanListingTest, WhySaysWhenNothingIsRecorded) {
  EXPECT_THAT(list_cells({{&missing_, CellState::kMissing, ""}}, RecordedCells({}), true),
              HasSubstr("miss: no convert run is recorded"));
}

}  // namespace
}  // namespace moebench
