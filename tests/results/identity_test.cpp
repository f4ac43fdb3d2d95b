#include "tests/results/comparison_fixture.h"

namespace moebench {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

// Runs with the identity that a sweep records.
class IdentityTest : public ComparisonTest {
 protected:
  IdentityTest() {
    runs_.use("cmoe", "S3A3E8", 0.75);
    conversion_ = {{"stage", "convert"}, {"version", 1},
                   {"model", model_},    {"method", "cmoe"},
                   {"shape", "S3A3E8"},  {"calibration", {{"texts", {hash('c')}}, {"tokenizer", hash('t')}}}};
  }

  static std::string hash(char letter) { return std::string(64, letter); }

  RunRecord& convert(int64_t seed) {
    conversion_["seed"] = seed;
    runs_.about["identity"] = conversion_;
    return runs_.convert(seed, 20);
  }
  RunRecord& measure(int64_t seed, double value) {
    conversion_["seed"] = seed;
    identify_measurement();
    runs_.about["identity"]["conversion"] = conversion_;
    return runs_.measure_perplexity(seed, value);
  }
  void measure_dense(double value) {
    const nlohmann::json converted = runs_.about;
    runs_.about["method"] = "dense";
    identify_measurement();
    runs_.measure_perplexity(0, value);
    runs_.about = converted;
  }

  nlohmann::json model_ = {{"weights", hash('w')}, {"dtype", "float32"}, {"device", "cpu"}}, conversion_;
  std::string task_data_ = hash('d'), tokenizer_ = hash('t');
  int version_ = 1;  // of measuring

 private:
  void identify_measurement() {
    runs_.about["identity"] = {{"stage", "measure"},
                               {"version", version_},
                               {"model", model_},
                               {"tokenizer", tokenizer_},
                               {"task_data", task_data_}};
  }
};

TEST_F(IdentityTest, SeedsOfOneConversionAreARowWithTheirConversions) {
  for (const int64_t seed : {0, 1}) {
    convert(seed);
    measure(seed, 40 + static_cast<double>(seed));
  }
  EXPECT_THAT(labels(table()), ElementsAre("tiny: cmoe S3A3E8"));
  EXPECT_EQ(cell(table(), 0, kPerplexity).value, 40.5);
  EXPECT_THAT(cell(table(), 0, "conversion/seconds").seeds->measured, ElementsAre(0, 1));
}

TEST_F(IdentityTest, VersionsOfAConversionAreNotAveraged) {
  measure(0, 40);
  measure(1, 42);
  conversion_["version"] = 2;
  convert(0);
  measure(0, 50);
  const Table table = this->table();
  EXPECT_THAT(labels(table), ElementsAre("tiny: cmoe [version 1] S3A3E8", "tiny: cmoe [version 2] S3A3E8"));
  EXPECT_EQ(cell(table, 0, kPerplexity).value, 41);
  EXPECT_EQ(cell(table, 0, "conversion/seconds").status, CellStatus::kNotRun);
  EXPECT_EQ(cell(table, 1, kPerplexity).value, 50);
}

TEST_F(IdentityTest, OtherWeightsAreRowsOfTheirOwnBesideTheirOwnParent) {
  for (const auto& [weights, dense] : {std::pair('w', 20.0), {'v', 10.0}}) {
    model_["weights"] = hash(weights);
    conversion_["model"] = model_;
    measure_dense(dense);
    measure(0, 40);
  }
  const Table table = this->table();
  EXPECT_THAT(labels(table),
              ElementsAre("tiny: dense [model.weights wwwwwwwwwwww…]", "tiny: dense [model.weights vvvvvvvvvvvv…]",
                          "tiny: cmoe [model.weights wwwwwwwwwwww…] S3A3E8",
                          "tiny: cmoe [model.weights vvvvvvvvvvvv…] S3A3E8"));
  EXPECT_EQ(cell(table, 2, kPerplexity).ratio_to_dense, 2);
  EXPECT_EQ(cell(table, 3, kPerplexity).ratio_to_dense, 4);
  EXPECT_EQ(cell(table, 2, kPerplexity).rank, Rank::kNone) << "models do not compete";
}

TEST_F(IdentityTest, DevicesCalibrationTextsAndTokenizersAreRowsOfTheirOwn) {
  measure(0, 40);
  conversion_["calibration"]["texts"] = {hash('e')};
  measure(0, 41);
  tokenizer_ = hash('u');
  measure(0, 42);
  model_["device"] = conversion_["model"]["device"] = "cuda";
  measure(0, 43);
  const Table table = this->table();
  ASSERT_THAT(table.rows, SizeIs(4));
  EXPECT_EQ(table.rows[3].distinction, "calibration.texts.0 eeeeeeeeeeee…, model.device cuda, tokenizer uuuuuuuuuuuu…");
}

TEST_F(IdentityTest, CalibrationTextsAreToldApartByTheirNamesWhereTheseDiffer) {
  const auto measure_with = [&](const std::vector<std::string>& names, const std::string& text_hash) {
    runs_.about["calibration"]["texts"] = names;
    conversion_["calibration"]["texts"] = {text_hash};
    measure(0, 40);
  };
  measure_with({"news"}, hash('e'));
  measure_with({"news", "novels"}, hash('f'));
  EXPECT_EQ(table().rows[0].distinction, "calibration.texts news");
  EXPECT_EQ(table().rows[1].distinction, "calibration.texts news, novels");
  measure_with({"news"}, hash('g'));  // the text has changed
  EXPECT_EQ(table().rows[0].distinction, "calibration.texts.0 eeeeeeeeeeee…");
  EXPECT_EQ(table().rows[1].distinction, "calibration.texts news, novels");
  EXPECT_EQ(table().rows[2].distinction, "calibration.texts.0 gggggggggggg…");
}

TEST_F(IdentityTest, OnlyRowsThatReadAlikeAreToldApart) {
  measure(0, 40);
  conversion_["shape"] = "S1A3E8";
  conversion_["version"] = 2;
  runs_.about["shape"] = "S1A3E8";
  measure(0, 50);
  EXPECT_THAT(labels(table()), ElementsAre("tiny: cmoe S1A3E8", "tiny: cmoe S3A3E8"));
}

TEST_F(IdentityTest, OtherTaskDataAndVersionsOfMeasuringAreColumnsOfTheirOwn) {
  measure(0, 40);
  task_data_ = hash('f');
  measure(1, 60);
  version_ = 2;
  measure(1, 70);
  const Table table = this->table();
  ASSERT_THAT(table.rows, SizeIs(1));
  ASSERT_THAT(table.columns, SizeIs(3));
  EXPECT_EQ(table.columns[0].distinction, "task_data dddddddddddd…, version 1");
  EXPECT_EQ(table.columns[1].distinction, "task_data ffffffffffff…, version 1");
  EXPECT_EQ(table.columns[2].distinction, "task_data ffffffffffff…, version 2");
  EXPECT_EQ(table.rows[0].cells[0].value, 40);
  EXPECT_EQ(table.rows[0].cells[1].value, 60);
}

TEST_F(IdentityTest, FailedConversionIsNamedLikeItsRow) {
  runs_.about["changed_options"] = runs_.about["options"] = {{"score", "paper"}};
  measure(0, 40);
  SyntheticRuns::fail(convert(1), "out of memory");
  ASSERT_THAT(table().failures, SizeIs(1));
  EXPECT_EQ(table().failures[0].subject, "cmoe (score=paper) S3A3E8");
}

}  // namespace
}  // namespace moebench
