// Two rows on the same items, with numbers that a reader can work out.
#include "results/paired_table.h"

#include <cmath>

#include <gmock/gmock.h>

#include "results/render_pairs.h"
#include "tests/results/store_fixture.h"
#include "tests/results/synthetic_runs.h"

namespace moebench {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

// Of Student's t with two degrees of freedom, two-sided: in closed form.
double p_of_t2(double t) { return 1 - std::abs(t) / std::sqrt(2 + t * t); }

std::vector<Item> right_items(const std::string& task, const std::vector<int>& right,
                              const std::vector<std::string>& clusters = {}) {
  std::vector<Item> items;
  for (size_t item = 0; item < right.size(); ++item) {
    items.push_back({.task = task,
                     .id = std::to_string(item),
                     .correct = right[item] == 1,
                     .cluster = clusters.empty() ? "" : clusters[item]});
  }
  return items;
}

std::vector<Item> nll_items(const std::string& task, const std::vector<double>& nlls,
                            const std::vector<int64_t>& tokens) {
  std::vector<Item> items;
  for (size_t item = 0; item < nlls.size(); ++item) {
    items.push_back({.task = task, .id = std::to_string(item), .nll = nlls[item], .tokens = tokens[item]});
  }
  return items;
}

class PairedTableTest : public StoreFixture {
 protected:
  // A measurement of what runs_.about says.
  RunRecord& measure(int64_t seed, std::vector<Item> items, const nlohmann::json& task_options = {{"window", 2048}}) {
    RunRecord& run = runs_.measure(seed, {}, "task", task_options);
    run.items = std::move(items);
    return run;
  }

  void measure_dense(std::vector<Item> items) {
    runs_.about = {{"model", "tiny"}, {"method", "dense"}, {"dtype", "float32"}};
    measure(0, std::move(items));
  }
  void measure_cmoe(std::vector<Item> items, int64_t seed = 0) {
    runs_.use("cmoe", "S3A3E8", 0.75);
    measure(seed, std::move(items));
  }

  PairedTable compare(const PairedRequest& request = {.base = "dense", .candidate = "cmoe"}) {
    ResultStore store = open();
    for (const RunRecord& run : runs_.runs()) store.add(run);
    return compare_pairs(store, request);
  }

  std::string refusal(const PairedRequest& request) {
    try {
      compare(request);
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "accepted";
  }

  SyntheticRuns runs_;
};

// Of ten one is fixed and three break: differences 1, -1, -1, -1 and six 0, with mean -0.2 and variance 3.6 / 9.
TEST_F(PairedTableTest, RightItemsAreComparedByMcNemarsTest) {
  measure_dense(right_items("t/acc", {0, 1, 1, 1, 1, 1, 1, 0, 0, 0}));
  measure_cmoe(right_items("t/acc", {1, 0, 0, 0, 1, 1, 1, 0, 0, 0}));
  const PairedTable table = compare();
  ASSERT_EQ(table.rows.size(), 1u);
  const PairedRow& row = table.rows[0];
  EXPECT_EQ(row.column.metric, "t/acc");
  EXPECT_EQ(row.difference.num_items, 10);
  EXPECT_EQ(row.difference.num_clusters, 10);
  EXPECT_DOUBLE_EQ(row.base, 0.6);
  EXPECT_DOUBLE_EQ(row.candidate, 0.4);
  EXPECT_NEAR(row.difference.mean, -0.2, 1e-12);
  EXPECT_NEAR(row.difference.standard_error, std::sqrt(3.6 / 9 / 10), 1e-12);
  EXPECT_NEAR(row.difference.interval.low, -0.2 - 2.2621571628 * 0.2, 1e-9);  // t of nine degrees of freedom
  EXPECT_EQ(row.mcnemar->fixed, 1);
  EXPECT_EQ(row.mcnemar->broken, 3);
  EXPECT_NEAR(row.p_value, 2 * (1 + 4) / 16.0, 1e-12);  // none or one of four fair coins, twice
  EXPECT_NEAR(row.detectable_effect.value(), (1.9599639845 + 0.8416212336) * 0.2, 1e-9);
  EXPECT_LT(row.bootstrap.low, -0.2);
  EXPECT_GT(row.bootstrap.high, -0.2);
}

TEST_F(PairedTableTest, DriftIsHowFarLikelihoodsMoveWhicheverWay) {
  std::vector<Item> base = right_items("t/acc", {0, 1, 1}), candidate = right_items("t/acc", {0, 1, 1});
  for (size_t item = 0; item < 3; ++item) base[item].nll = candidate[item].nll = 5;
  candidate[0].nll = 4;
  candidate[1].nll = 5.5;
  measure_dense(base);
  measure_cmoe(candidate);
  const PairedRow row = compare().rows.at(0);
  EXPECT_DOUBLE_EQ(row.difference.mean, 0);
  EXPECT_DOUBLE_EQ(row.drift->mean, 0.5);
  EXPECT_DOUBLE_EQ(row.drift->largest, 1);
}

TEST_F(PairedTableTest, GeneratedTextsHaveNoDrift) {
  measure_dense(right_items("gsm8k/strict-match/exact_match", {0, 1, 1}));
  measure_cmoe(right_items("gsm8k/strict-match/exact_match", {1, 1, 0}));
  EXPECT_FALSE(compare().rows.at(0).drift.has_value());
}

TEST_F(PairedTableTest, WindowsAreComparedByNatsPerToken) {
  measure_dense(nll_items("text/gptq-11", {10, 20, 30}, {10, 10, 10}));
  measure_cmoe(nll_items("text/gptq-11", {11, 22, 33}, {10, 10, 10}));
  const PairedRow row = compare().rows.at(0);
  EXPECT_EQ(row.score, ItemScore::kNll);
  EXPECT_DOUBLE_EQ(row.base, 2);
  EXPECT_DOUBLE_EQ(row.candidate, 2.2);
  EXPECT_NEAR(row.difference.mean, 0.2, 1e-12);  // of 0.1, 0.2, 0.3
  EXPECT_DOUBLE_EQ(row.drift->mean, 2);
  EXPECT_DOUBLE_EQ(row.drift->largest, 3);
  EXPECT_NEAR(row.difference.standard_error, 0.1 / std::sqrt(3), 1e-12);
  EXPECT_NEAR(row.p_value, p_of_t2(2 * std::sqrt(3)), 1e-12);
  EXPECT_EQ(row.mcnemar, std::nullopt);
}

// Pages of 10 and 30 tokens. Whatever each token lost alike has no error; else the ratio estimator's: of the residuals
// 3 and -3 nats, sqrt(2 / 1 (9 + 9)) / 40.
TEST_F(PairedTableTest, PagesOfUnequalLengthAreARatio) {
  std::vector<Item> base = nll_items("alike", {10, 60}, {10, 30}), candidate = nll_items("alike", {12, 66}, {10, 30});
  for (Item& item : nll_items("unlike", {10, 60}, {10, 30})) base.push_back(item);
  for (Item& item : nll_items("unlike", {14, 60}, {10, 30})) candidate.push_back(item);
  measure_dense(base);
  measure_cmoe(candidate);
  const PairedTable table = compare();
  ASSERT_EQ(table.rows.size(), 2u);
  EXPECT_NEAR(table.rows[0].base, 70.0 / 40, 1e-12);
  EXPECT_NEAR(table.rows[0].candidate, 78.0 / 40, 1e-12);
  EXPECT_NEAR(table.rows[0].difference.standard_error, 0, 1e-12);
  EXPECT_NEAR(table.rows[1].candidate, 74.0 / 40, 1e-12);
  EXPECT_NEAR(table.rows[1].difference.standard_error, 6.0 / 40, 1e-12);
}

// Three passages of two questions; both of the first break. Their sums are 2/3 - 2, 2/3 and 2/3 off the mean.
TEST_F(PairedTableTest, ItemsOfOneSourceCountTogether) {
  const std::vector<std::string> passages = {"a", "a", "b", "b", "c", "c"};
  measure_dense(right_items("t/acc", {1, 1, 1, 0, 1, 0}, passages));
  measure_cmoe(right_items("t/acc", {0, 0, 1, 0, 1, 0}, passages));
  const PairedRow row = compare().rows.at(0);
  const double error = std::sqrt((16.0 + 4 + 4) / 9) / 6;
  EXPECT_EQ(row.difference.num_clusters, 3);
  EXPECT_NEAR(row.difference.standard_error, error, 1e-12);
  EXPECT_NEAR(row.p_value, p_of_t2(1.0 / 3 / error), 1e-12);
  EXPECT_DOUBLE_EQ(row.mcnemar->exact_p, 0.5);  // which takes them for independent
}

TEST_F(PairedTableTest, ItemsThatAreAllOfOneSourceCountByThemselves) {
  measure_dense(right_items("t/acc", {1, 0, 1}, {"s", "s", "s"}));
  measure_cmoe(right_items("t/acc", {1, 1, 0}, {"s", "s", "s"}));
  EXPECT_EQ(compare().rows.at(0).difference.num_clusters, 3);
}

TEST_F(PairedTableTest, PValuesAreAdjustedOverTheTable) {
  const auto items = [](const std::vector<double>& nlls, const std::vector<int>& right) {
    std::vector<Item> all = nll_items("a", nlls, {10, 10, 10});
    for (const auto& more : {right_items("b", right), right_items("c", {1, 0, 1})})
      all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  measure_dense(items({10, 20, 30}, {0, 1, 1, 1, 1}));
  measure_cmoe(items({11, 22, 33}, {1, 0, 0, 0, 1}));
  const double first = p_of_t2(2 * std::sqrt(3)), second = 0.625;  // and 1: nothing changed
  const auto adjusted = [&](Adjustment adjustment) {
    std::vector<double> values;
    for (const PairedRow& row : compare({"dense", "cmoe", std::nullopt, adjustment}).rows) {
      values.push_back(row.adjusted_p);
    }
    return values;
  };
  using testing::DoubleNear;
  EXPECT_THAT(adjusted(Adjustment::kHolm), ElementsAre(DoubleNear(3 * first, 1e-12), 1, 1));
  EXPECT_THAT(adjusted(Adjustment::kBenjaminiHochberg),
              ElementsAre(DoubleNear(3 * first, 1e-12), DoubleNear(second * 3 / 2, 1e-12), 1));
  EXPECT_EQ(compare().rows[2].detectable_effect, std::nullopt);
}

TEST_F(PairedTableTest, ItemsThatOnlyOneHasAreLeftOutAndCounted) {
  measure_dense(right_items("t/acc", {1, 1, 0, 0}));
  measure_cmoe(right_items("t/acc", {1, 0, 0}));
  const PairedTable table = compare();
  EXPECT_EQ(table.rows.at(0).difference.num_items, 3);
  EXPECT_DOUBLE_EQ(table.rows[0].base, 2.0 / 3);
  EXPECT_THAT(table.notes, ElementsAre("t/acc: left out 1 items that only base has, and 0 that only new has"));
}

TEST_F(PairedTableTest, WhatDoesNotCompareIsSaidAndTheRestIsCompared) {
  std::vector<Item> base = right_items("a", {1, 0, 1});
  std::vector<Item> candidate = base;
  const auto add = [](std::vector<Item>& items, const std::vector<Item>& more) {
    items.insert(items.end(), more.begin(), more.end());
  };
  add(base, nll_items("longer", {1, 1}, {10, 10}));
  add(candidate, nll_items("longer", {1, 1}, {10, 11}));
  add(base, nll_items("diverged", {1, 1}, {10, 10}));
  add(candidate, nll_items("diverged", {1, INFINITY}, {10, 10}));
  add(base, nll_items("only", {1, 1}, {10, 10}));
  measure_dense(base);
  measure(0, right_items("elsewhere", {1, 0}), {{"limit", 2}});
  measure_cmoe(candidate);
  const PairedTable table = compare();
  ASSERT_EQ(table.rows.size(), 1u);
  EXPECT_EQ(table.rows[0].column.metric, "a");
  EXPECT_THAT(table.notes,
              testing::IsSupersetOf(std::vector<testing::Matcher<std::string>>{
                  HasSubstr("longer is not compared: item 1 has 10 tokens in the one and 11 in the other"),
                  HasSubstr("diverged is not compared: some items have no finite likelihood"),
                  HasSubstr("only is not compared: needs two items"),
                  HasSubstr("elsewhere (task {\"limit\":2}) is not compared: only base was measured so")}));
}

TEST_F(PairedTableTest, OneMetricUnderOtherOptionsIsAnotherRow) {
  for (const char* method : {"dense", "cmoe"}) {
    if (method == std::string("dense")) runs_.about = {{"model", "tiny"}, {"method", "dense"}, {"dtype", "float32"}};
    if (method == std::string("cmoe")) runs_.use("cmoe", "S3A3E8", 0.75);
    measure(0, right_items("t/acc", {1, 0}), {{"limit", 2}});
    measure(0, right_items("t/acc", {1, 0, 1}), {{"limit", 3}});
  }
  const PairedTable table = compare();
  ASSERT_EQ(table.rows.size(), 2u);
  EXPECT_EQ(table.rows[0].column.detail, "limit=2");
  EXPECT_EQ(table.rows[1].column.detail, "limit=3");
}

TEST_F(PairedTableTest, TheLowestCommonSeedIsTakenAndADenseParentHasNone) {
  measure_dense(right_items("t/acc", {1, 1, 0, 0}));
  measure_cmoe(right_items("t/acc", {1, 0, 0, 0}), 2);
  measure_cmoe(right_items("t/acc", {0, 0, 0, 0}), 1);
  PairedTable table = compare();
  EXPECT_EQ(table.candidate.seed, 1);
  EXPECT_THAT(table.candidate.seeds, ElementsAre(1, 2));
  EXPECT_EQ(table.base.seed, std::nullopt);
  EXPECT_EQ(table.rows.at(0).candidate, 0);
  EXPECT_EQ(compare({"dense", "cmoe", 2}).rows.at(0).candidate, 0.25);
  EXPECT_THAT(refusal({"dense", "cmoe", 3}), HasSubstr("seed 3 is not there: cmoe S3A3E8 has 1, 2"));

  runs_.use("random_split", "S0A6E8", 0.75);
  measure(2, right_items("t/acc", {1, 1, 1, 1}));
  measure(3, right_items("t/acc", {1, 1, 1, 1}));
  EXPECT_EQ(compare({"cmoe", "random_split"}).base.seed, 2);
  runs_.use("random_split", "S0A2E8", 0.25);
  measure(3, right_items("t/acc", {1, 1, 1, 1}));
  EXPECT_THAT(refusal({"cmoe", "random_split:S0A2E8"}),
              HasSubstr("no seed in common: cmoe S3A3E8 has 1, 2; random_split S0A2E8 has 3"));
}

TEST_F(PairedTableTest, RowsAreNamedByMethodAndWhatNarrowsIt) {
  measure_dense(right_items("t/acc", {1, 1, 0, 0}));
  measure_cmoe(right_items("t/acc", {1, 0, 0, 0}));
  runs_.use_oracle();
  measure(0, right_items("t/acc", {1, 1, 1, 0}));
  runs_.use("cmoe", "S1A2E4", 0.75, {{"score", "paper"}});
  measure(0, right_items("t/acc", {1, 1, 1, 1}));
  runs_.about["retrained_tokens"] = 1000;
  measure(0, right_items("t/acc", {0, 0, 0, 0}));

  EXPECT_THAT(refusal({"dense", "cmoe"}),
              AllOf(HasSubstr("'cmoe' may be any of"), HasSubstr("cmoe:S3A3E8 (run uuid-1)"),
                    HasSubstr("cmoe:S1A2E4 (run uuid-3)"), testing::Not(HasSubstr("oracle"))));
  const auto right = [&](const std::string& name) { return compare({"dense", name}).rows.at(0).candidate; };
  EXPECT_EQ(right("cmoe:S3A3E8"), 0.25) << "its own router";
  EXPECT_EQ(right("cmoe:oracle"), 0.75);
  EXPECT_EQ(right("cmoe:score=paper"), 1) << "not retrained";
  EXPECT_EQ(right("cmoe:S1A2E4:retrained"), 0);
  EXPECT_EQ(right("cmoe:retrained=1000"), 0);
  EXPECT_EQ(right("uuid-4"), 0);

  runs_.use("cmoe", "S1A2E4", 0.75, {{"score", "code"}});
  measure(0, right_items("t/acc", {0, 1, 0, 1}));
  EXPECT_THAT(refusal({"dense", "cmoe:S1A2E4"}),
              HasSubstr("cmoe:S1A2E4:score=code (run uuid-5), cmoe:S1A2E4:score=paper (run uuid-3)"));
  EXPECT_EQ(right("cmoe:S1A2E4:score=code"), 0.5);
  EXPECT_THAT(refusal({"dense", "cmoe:S9A9E9"}), HasSubstr("'cmoe:S9A9E9' is no row; there are cmoe:S3A3E8"));
  EXPECT_THAT(refusal({"dense", "cmeo"}), HasSubstr("did you mean 'cmoe'"));
  EXPECT_THAT(refusal({"dense", "uuid-0"}), HasSubstr("are the same row, dense"));
}

TEST_F(PairedTableTest, AMeasurementsUuidBringsItsSeed) {
  measure_dense(right_items("t/acc", {1, 1, 0, 0}));
  measure_cmoe(right_items("t/acc", {1, 0, 0, 0}), 1);
  measure_cmoe(right_items("t/acc", {0, 0, 0, 0}), 2);
  EXPECT_EQ(compare({"dense", "uuid-2"}).candidate.seed, 2);
  EXPECT_THAT(refusal({"dense", "uuid-2", 1}), HasSubstr("seeds 1 and 2 are asked for"));
  runs_.convert(1, 20);
  EXPECT_THAT(refusal({"dense", "uuid-3"}), HasSubstr("run uuid-3 is no completed measurement"));
}

TEST_F(PairedTableTest, ADatabaseWithoutSuchRowsOrItemsIsRefused) {
  EXPECT_THAT(refusal({"dense", "cmoe"}), HasSubstr("unknown measured method 'dense'; none is known"));
  runs_.fail(runs_.measure_perplexity(0, 25), "out of memory");
  EXPECT_THAT(refusal({"dense", "cmoe"}), HasSubstr("none is known"));
  measure_dense({});
  measure_cmoe({});
  EXPECT_THAT(refusal({"dense", "cmoe"}), HasSubstr("dense and cmoe S3A3E8 have no items in common to compare"));
}

class RenderPairsTest : public PairedTableTest {
 protected:
  void SetUp() override {
    PairedTableTest::SetUp();
    std::vector<Item> base = right_items("t/acc", {0, 1, 1, 1, 1});
    std::vector<Item> candidate = right_items("t/acc", {1, 0, 0, 0, 1});
    for (Item& item : nll_items("text/gptq-11", {10, 20, 30}, {10, 10, 10})) base.push_back(item);
    for (Item& item : nll_items("text/gptq-11", {11, 22, 33}, {10, 10, 10})) candidate.push_back(item);
    measure_dense(base);
    measure_cmoe(candidate, 7);
  }

  std::string text(ReportFormat format) { return render_pairs(compare(), format, {.command = "moebench compare"}); }
};

TEST_F(RenderPairsTest, MarkdownSaysWhatIsCompared) {
  EXPECT_THAT(text(ReportFormat::kMarkdown),
              AllOf(HasSubstr("### cmoe S3A3E8 against dense"), HasSubstr("| t/acc "), HasSubstr("| text/gptq-11 "),
                    HasSubstr(" 2.200 |"), HasSubstr("base: dense of tiny in float32, which has no seed"),
                    HasSubstr("new: cmoe S3A3E8 of tiny in float32, seed 7"), HasSubstr("among 2 tests"),
                    HasSubstr("    moebench compare")));
}

TEST_F(RenderPairsTest, JsonHoldsTheTable) {
  const auto json = nlohmann::json::parse(text(ReportFormat::kJson));
  EXPECT_EQ(json["schema"], "moebench/1");
  EXPECT_EQ(json["new"]["seed"], 7);
  EXPECT_TRUE(json["base"]["seed"].is_null());
  ASSERT_EQ(json["rows"].size(), 2u);
  EXPECT_EQ(json["rows"][0]["mcnemar"]["broken"], 3);
  EXPECT_EQ(json["rows"][0]["better"], "higher");
  EXPECT_NEAR(json["rows"][1]["difference"].get<double>(), 0.2, 1e-12);
  EXPECT_EQ(json["rows"][1]["interval"].size(), 2u);
  EXPECT_TRUE(json["rows"][1]["mcnemar"].is_null());
}

TEST_F(RenderPairsTest, CsvHasAFieldForEachOfItsHeader) {
  const std::string csv = text(ReportFormat::kCsv);
  std::vector<std::vector<std::string>> lines;  // the task's options, JSON in quotes, are taken out
  for (size_t begin = 0; begin < csv.size(); begin = csv.find("\r\n", begin) + 2) {
    std::string line = csv.substr(begin, csv.find("\r\n", begin) - begin);
    if (const size_t quote = line.find('"'); quote != std::string::npos) line.erase(quote, line.rfind('"') + 1 - quote);
    std::vector<std::string>& fields = lines.emplace_back(1);
    for (const char byte : line) byte == ',' ? (void)fields.emplace_back() : (void)(fields.back() += byte);
  }
  ASSERT_EQ(lines.size(), 3u);
  const auto field = [&](size_t line, const std::string& name) {
    EXPECT_EQ(lines[line].size(), lines[0].size());
    const auto found = std::find(lines[0].begin(), lines[0].end(), name);
    return lines[line].at(static_cast<size_t>(found - lines[0].begin()));
  };
  EXPECT_EQ(field(1, "metric"), "t/acc");
  EXPECT_EQ(field(1, "fixed"), "1");
  EXPECT_EQ(field(1, "mcnemar_p"), "0.625");
  EXPECT_EQ(field(1, "new_seed"), "7");
  EXPECT_EQ(field(2, "score"), "nll");
  EXPECT_EQ(field(2, "fixed"), "");
  EXPECT_EQ(std::stod(field(2, "base_value")), 2);
  EXPECT_EQ(field(2, "adjustment"), "holm");
}

}  // namespace
}  // namespace moebench
