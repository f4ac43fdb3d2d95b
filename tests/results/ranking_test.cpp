#include "tests/results/comparison_fixture.h"

namespace moebench {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class RankTest : public ComparisonTest {
 protected:
  void add(const std::string& method, double value) {
    runs_.use(method, "S3A3E8", ratio_);
    runs_.measure(0, {{"m", "", value, direction_}});
  }
  // "method=rank" for each row that has one.
  std::vector<std::string> ranks() const {
    const Table table = this->table();
    std::vector<std::string> found;
    for (const Row& row : table.rows) {
      if (row.cells[0].rank == Rank::kBest) found.push_back(row_label(row) + "=best");
      if (row.cells[0].rank == Rank::kSecond) found.push_back(row_label(row) + "=second");
    }
    return found;
  }

  double ratio_ = 0.75;
  Direction direction_ = Direction::kLowerIsBetter;
};

TEST_F(RankTest, BestAndSecondAmongMethodsAndControls) {
  runs_.measure(0, {{"m", "", 1, direction_}});
  add("cmoe", 30);
  runs_.use_oracle();
  runs_.measure(0, {{"m", "", 5, direction_}});
  add("static_pruning", 20);
  add("random_split", 40);
  EXPECT_THAT(ranks(), ElementsAre("static_pruning=best", "cmoe=second"));
}

TEST_F(RankTest, HigherIsBetterWhereTheMetricSaysSo) {
  direction_ = Direction::kHigherIsBetter;
  add("a", 0.5);
  add("b", 0.7);
  add("c", 0.6);
  EXPECT_THAT(ranks(), ElementsAre("b=best", "c=second"));
}

TEST_F(RankTest, NothingIsBestWhereNothingIsBetter) {
  direction_ = Direction::kNeither;
  add("a", 0.5);
  add("b", 0.7);
  EXPECT_THAT(ranks(), IsEmpty());
}

TEST_F(RankTest, RowsOfTheSameActivatedSizeCompete) {
  add("a", 10);
  add("b", 20);
  ratio_ = 0.5;
  add("c", 30);
  add("d", 40);
  ratio_ = 0.25;
  add("alone", 50);
  EXPECT_THAT(ranks(), ElementsAre("a=best", "b=second", "c=best", "d=second"));
}

TEST_F(RankTest, WhatShowsTheSameNumberIsTied) {
  add("a", 20.001);
  add("b", 20.002);
  add("c", 21);
  add("d", 21.0004);
  add("e", 22);
  EXPECT_THAT(ranks(), ElementsAre("a=best", "b=best", "c=second", "d=second"));
}

TEST_F(RankTest, DivergedAndPartlyFailedDoNotCompete) {
  direction_ = Direction::kLowerIsBetter;
  add("a", -std::numeric_limits<double>::infinity());
  add("b", std::nan(""));
  add("c", 10);
  SyntheticRuns::fail(runs_.measure_perplexity(1, 0), "out of memory").config["task_options"] =
      runs_.runs().front().config["task_options"];
  add("d", 20);
  add("e", 30);
  EXPECT_THAT(ranks(), ElementsAre("d=best", "e=second"));
}

}  // namespace
}  // namespace moebench
