// Rows of retrained conversions: one for each mark, beside the dense parent retrained on the same text.
#include "results/render.h"
#include "tests/results/comparison_fixture.h"

namespace moebench {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class RetrainingTest : public ComparisonTest {
 protected:
  void retrained(int64_t tokens, const std::string& recipe = "common") {
    runs_.about["retrained_tokens"] = tokens;
    runs_.about["retraining"] = {{"recipe", recipe}, {"texts", {"novels"}}, {"window", 512}, {"budget", 200}};
  }
};

TEST_F(RetrainingTest, EachMarkIsARowAfterTheUntrainedOne) {
  runs_.measure_perplexity(0, 20);
  runs_.use("cmoe", "S1A3E8", 0.5);
  runs_.convert(0, 12);
  runs_.measure_perplexity(0, 80);
  for (const int64_t tokens : {200, 50}) {
    retrained(tokens);
    runs_.retrain(0, static_cast<double>(tokens));
    runs_.measure_perplexity(0, 60.0 - static_cast<double>(tokens) / 10);
  }
  const Table compared = table();
  ASSERT_THAT(labels(compared),
              ElementsAre("tiny: dense", "tiny: cmoe S1A3E8", "tiny: cmoe S1A3E8", "tiny: cmoe S1A3E8"));
  EXPECT_EQ(cell(compared, 1, kPerplexity).value, 80);
  EXPECT_EQ(cell(compared, 2, kPerplexity).value, 55);
  EXPECT_EQ(cell(compared, 3, kPerplexity).value, 40);
  EXPECT_EQ(cell(compared, 3, kPerplexity).ratio_to_dense, 2);
  EXPECT_EQ(cell(compared, 3, "retraining/seconds").value, 200);
  EXPECT_EQ(cell(compared, 3, "conversion/seconds").value, 12) << "of the conversion that was retrained";
  EXPECT_EQ(cell(compared, 1, "retraining/seconds").status, CellStatus::kNotApplicable);
  EXPECT_THAT(render_markdown(compared, {}), HasSubstr("200 (common)"));
}

TEST_F(RetrainingTest, RecipesAreRowsOfTheirOwn) {
  runs_.use("cmoe", "S1A3E8", 0.5);
  for (const char* recipe : {"common", "published"}) {
    retrained(50, recipe);
    runs_.measure_perplexity(0, 60);
  }
  EXPECT_EQ(table().rows.size(), 2u);
}

TEST_F(RetrainingTest, RetrainedDenseIsAControlAndNotTheParent) {
  runs_.measure_perplexity(0, 20);
  retrained(50);
  runs_.measure_perplexity(0, 18);
  const Table compared = table();
  ASSERT_EQ(compared.rows.size(), 2u);
  EXPECT_EQ(compared.rows[0].kind, RowKind::kDense);
  EXPECT_EQ(compared.rows[1].kind, RowKind::kControl);
  EXPECT_EQ(cell(compared, 1, kPerplexity).ratio_to_dense, 0.9);
}

TEST_F(RetrainingTest, RanksWithinOneAmountOfRetraining) {
  for (const int64_t tokens : {0, 50}) {
    for (const char* method : {"cmoe", "dive"}) {
      runs_.use(method, "S1A3E8", 0.5);
      if (tokens > 0) retrained(tokens);
      runs_.measure_perplexity(0, (tokens > 0 ? 30 : 60) + (method == std::string("dive") ? 5 : 0));
    }
  }
  const Table compared = table();
  EXPECT_THAT((std::vector<Rank>{compared.rows[0].cells[0].rank, compared.rows[1].cells[0].rank,
                                 compared.rows[2].cells[0].rank, compared.rows[3].cells[0].rank}),
              ElementsAre(Rank::kBest, Rank::kSecond, Rank::kBest, Rank::kSecond));
}

TEST_F(RetrainingTest, FailedRetrainingIsARowWithItsReason) {
  runs_.measure_perplexity(0, 20);
  runs_.use("cmoe", "S1A3E8", 0.5);
  retrained(50);
  SyntheticRuns::fail(runs_.retrain(0, 1), "the loss of step 3 is not a number");
  const Table compared = table();
  EXPECT_EQ(cell(compared, 1, kPerplexity).status, CellStatus::kFailed);
  EXPECT_EQ(cell(compared, 1, kPerplexity).seeds->reason, "the loss of step 3 is not a number");
  ASSERT_EQ(compared.failures.size(), 1u);
  EXPECT_EQ(compared.failures[0].stage, "retrain");
  EXPECT_EQ(compared.failures[0].subject, "cmoe S1A3E8 retrained on 50 tokens (common)");
}

TEST_F(RetrainingTest, TextThatIsRetrainedOnIsMarkedWhereItIsMeasured) {
  runs_.use("cmoe", "S1A3E8", 0.5);
  retrained(50);
  runs_.about["retraining"]["overlap"] = true;
  runs_.measure_perplexity(0, 30);
  const std::string markdown = render_markdown(table(), {});
  EXPECT_THAT(markdown, HasSubstr("30.00 ‡"));
  EXPECT_THAT(markdown, HasSubstr("‡ Measured on text that the model was retrained on."));
}

}  // namespace
}  // namespace moebench
