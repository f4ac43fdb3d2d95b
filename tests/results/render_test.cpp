// Expected texts are written by hand from the numbers of small_sweep().
#include "results/render.h"

#include <cmath>
#include <cstdlib>
#include <sstream>

#include <gmock/gmock.h>

#include "results/comparison.h"
#include "results/markdown_table.h"
#include "results/published_numbers.h"
#include "tests/results/store_fixture.h"
#include "tests/results/synthetic_runs.h"

namespace moebench {
namespace {

using testing::HasSubstr;
using testing::SizeIs;
using testing::StartsWith;

// What a renderer writes piece by piece.
template <class Render>
std::string written(const Render& render_to) {
  std::string text;
  render_to([&](std::string_view piece) { text += piece; });
  return text;
}

std::string csv_of(const Table& table) {
  return written([&](const TextSink& write) { render_csv(table, write); });
}

std::string json_of(const Table& table, const ReportOptions& options) {
  return written([&](const TextSink& write) { render_json(table, options, write); });
}

std::string report_of(const ResultStore& store, ReportFormat format, const ReportOptions& options) {
  return written([&](const TextSink& write) { render(store, format, options, write); });
}

// One model; dense 25, a control at 50, a method at 40 and 44 with its conversion, its bound at 30, a failure.
SyntheticRuns small_sweep() {
  SyntheticRuns runs;
  runs.measure_perplexity(0, 25);
  runs.use("static_pruning", "S6A0E8", 0.75);
  runs.measure_perplexity(0, 50);
  runs.use("cmoe", "S3A3E8", 0.75);
  runs.convert(0, 20);
  runs.convert(1, 22);
  runs.measure_perplexity(0, 40);
  runs.measure_perplexity(1, 44);
  runs.use_oracle();
  runs.measure_perplexity(0, 30);
  runs.use("cmoe", "S3A3E7", 0.857142857);
  SyntheticRuns::fail(runs.convert(0, 20), "7 experts do not share out 1536");
  return runs;
}

std::string markdown(const SyntheticRuns& runs, const std::string& command = "") {
  return render_markdown(compare_runs(runs.runs()), {command});
}

// clang-format off
constexpr const char* kExpectedMarkdown = R"(### tiny

| method                          | shape  | active FFN |                    wiki/gptq-2048/ppl ↓ | × dense | conversion, s | peak memory | calibration tokens | calibration text | retraining tokens | seeds |
|:--------------------------------|:-------|-----------:|----------------------------------------:|--------:|--------------:|------------:|-------------------:|:-----------------|------------------:|------:|
| dense                           |        |      100 % |                                   25.00 |   1.000 |             – |           – |                  – | –                |                 0 |     1 |
| cmoe                            | S3A3E7 |     85.7 % | FAILED: 7 experts do not share out 1536 |       – |        FAILED |      FAILED |              16384 | wiki-train       |                 0 |     1 |
| static_pruning                  | S6A0E8 |       75 % |                        <ins>50.00</ins> |   2.000 |       not run |     not run |              16384 | wiki-train       |                 0 |     1 |
| cmoe with oracle router (bound) | S3A3E8 |       75 % |                    30.00 (1 of 2 seeds) |   1.200 |  21.00 ± 1.41 |     2.50 GB |              16384 | wiki-train       |                 0 |     2 |
| cmoe                            | S3A3E8 |       75 % |                        **42.00 ± 2.83** |   1.680 |  21.00 ± 1.41 |     2.50 GB |              16384 | wiki-train       |                 0 |     2 |

Mean ± sample standard deviation over seeds, where a row has at least two.
**Best** and <ins>second best</ins> mean at the same active FFN size and retraining; the dense parent and bounds do not compete.
A bound computes every expert to choose among them: what a perfect router would give, not a method.
Conversion is wall time, with all of a pass over the text that several conversions shared; peak memory is the whole process's during that pass.

- perplexity with window 2048: wiki/gptq-2048/ppl over n = 5, standard error 0.5000
- 2 finer metrics (layers, phases, tasks of a group, other definitions) are in the csv and json formats
- float32; seeds 0, 1
- machine: two cores
- moebench 1a2b3c

Failed runs:

- cmoe S3A3E7, convert, seed 0: 7 experts do not share out 1536

Made by

    moebench report --db results.sqlite
)";
// clang-format on

TEST(RenderMarkdownTest, ShowsTheTableAndWhatItMeans) {
  EXPECT_EQ(markdown(small_sweep(), "moebench report --db results.sqlite"), kExpectedMarkdown);
}

TEST(RenderMarkdownTest, EachModelHasATable) {
  SyntheticRuns runs = small_sweep();
  runs.about = {{"model", "other"}, {"method", "dense"}, {"dtype", "float32"}};
  runs.measure_perplexity(0, 20);
  EXPECT_THAT(markdown(runs), HasSubstr("\n\n### other\n\n| method | shape |"));
}

TEST(RenderMarkdownTest, SaysWhatWasMeasuredOnCalibrationText) {
  SyntheticRuns runs;
  runs.use("cmoe", "S3A3E8", 0.75);
  runs.about["calibration"]["overlap"] = true;
  runs.measure_perplexity(0, 40);
  EXPECT_THAT(markdown(runs), HasSubstr(" 40.00 † |"));
  EXPECT_THAT(markdown(runs), HasSubstr("† Measured on text that the method was calibrated on."));
}

TEST(RenderMarkdownTest, ParametersHaveTheirUnitAndDtypesTheirName) {
  SyntheticRuns runs;
  runs.measure(0,
               {{"activated_parameters/all", "parameters", 134515008},
                {"total_parameters", "parameters", 6.7384e9},
                {"active_ffn_share", "", 0.8333}},
               "activated_parameters");
  runs.about["dtype"] = "bfloat16";
  runs.measure_perplexity(0, 20);
  EXPECT_THAT(markdown(runs),
              HasSubstr("| dense in float32  |       |     83.3 % |              134.5 M |          6.738 G |"));
  EXPECT_THAT(markdown(runs),
              HasSubstr("| dense in bfloat16 |       |      100 % |              not run |          not run |"));
}

TEST(RenderMarkdownTest, LongReasonIsToldOnceInTheRowAndWholeBelow) {
  SyntheticRuns runs;
  runs.measure_perplexity(0, 25);
  runs.use("cmoe", "S3A3E7", 0);
  const std::string reason = "shape 'S3A3E7': 7 experts do not share out 1536 neurons evenly; choose a divisor";
  SyntheticRuns::fail(runs.convert(0, 20), reason);
  runs.use("random_split", "S0A6E8", 0.75);
  runs.convert(0, 20);
  const std::string text = markdown(runs);
  EXPECT_THAT(text,
              HasSubstr("| cmoe         | S3A3E7 |          – | FAILED: shape 'S3A3E7': 7 experts do not share … | "
                        "      – |        FAILED |      FAILED |"));
  EXPECT_THAT(text, HasSubstr("- cmoe S3A3E7, convert, seed 0: " + reason + "\n"));
}

TEST(RenderMarkdownTest, ColumnsOfATaskShareALine) {
  SyntheticRuns runs;
  runs.measure(0, {{"a", "", 1, Direction::kLowerIsBetter, 7}, {"b", "", 1, Direction::kLowerIsBetter}}, "task",
               {{"text", "wiki"}, {"window", 16}});
  runs.measure(0, {{"c", "", 1, Direction::kLowerIsBetter}}, "other", nlohmann::json::object());
  EXPECT_THAT(markdown(runs),
              HasSubstr("\n\n- task with text wiki, window 16: a over n = 7; b\n- other: c\n- float32"));
}

// Two versions of a conversion, each measured on two versions of a text.
SyntheticRuns mixed_database() {
  SyntheticRuns runs;
  runs.use("cmoe", "S3A3E8", 0.75);
  for (const int version : {1, 2}) {
    for (const char letter : {'a', 'b'}) {
      runs.about["identity"] = {{"task_data", std::string(64, letter)}, {"conversion", {{"version", version}}}};
      runs.measure_perplexity(0, 40);
    }
  }
  return runs;
}

TEST(RenderTextTest, EveryFormatTellsApartWhatReadsAlike) {
  const Table table = compare_runs(mixed_database().runs());
  const std::string text = render_markdown(table, {});
  EXPECT_THAT(text, HasSubstr("\n| cmoe \\[version 1\\] | S3A3E8 |"));
  EXPECT_THAT(text, HasSubstr(" wiki/gptq-2048/ppl \\[task_data bbbbbbbbbbbb…\\] ↓ |"));
  EXPECT_THAT(text, HasSubstr("\n- perplexity \\[task_data aaaaaaaaaaaa…\\] with window 2048: "));
  const std::string csv = csv_of(table);
  EXPECT_THAT(csv, HasSubstr("\r\ntiny,cmoe,,version 2,S3A3E8,"));
  EXPECT_THAT(csv, HasSubstr(",task_data aaaaaaaaaaaa…,wiki/gptq-2048/ppl,"));
  const auto json = nlohmann::json::parse(json_of(table, {}));
  EXPECT_EQ(json["rows"][1]["distinction"], "version 2");
  EXPECT_EQ(json["columns"][1]["distinction"], "task_data bbbbbbbbbbbb…");
}

TEST(RenderMarkdownTest, DivergedModelIsShown) {
  SyntheticRuns runs;
  runs.measure_perplexity(0, 25);
  runs.use("cmoe", "S3A3E8", 0.75);
  runs.measure_perplexity(0, std::nan(""));
  EXPECT_THAT(markdown(runs), HasSubstr("|                  NaN |     NaN |"));
}

TEST(RenderMarkdownTest, EmptyStoreSaysSo) { EXPECT_EQ(markdown(SyntheticRuns()), "No runs to compare yet.\n"); }

TEST(MarkdownTableTest, TextIsShownAsItIs) {
  EXPECT_EQ(escape_markdown("a|b"), "a\\|b");
  EXPECT_EQ(escape_markdown("static_pruning _x_ *y* `z` [l]"), "static_pruning \\_x\\_ \\*y\\* \\`z\\` \\[l\\]");
  EXPECT_EQ(escape_markdown("<b>&\\"), "&lt;b>&amp;\\\\");
  EXPECT_EQ(escape_markdown("two\r\nlines\tand \x1b[31mred"), "two  lines and  \\[31mred");
  EXPECT_EQ(escape_markdown("größe 模型 \xff"), "größe 模型 \xef\xbf\xbd");
}

TEST(MarkdownTableTest, SourceLinesUpByCharacters) {
  EXPECT_EQ(markdown_table({{"größe", false, {"a", "模型"}}, {"n", true, {"1", "10"}}}),
            "| größe |   n |\n"
            "|:------|----:|\n"
            "| a     |   1 |\n"
            "| 模型    |  10 |\n");
}

SyntheticRuns tiny_sweep() {
  SyntheticRuns runs;
  runs.measure_perplexity(0, 25);
  runs.use("cmoe", "S3A3E8", 0.75);
  runs.measure_perplexity(0, 40);
  runs.measure_perplexity(1, 44.5);
  SyntheticRuns::fail(runs.measure_perplexity(2, 0), "out of memory, \"really\"");
  return runs;
}

// 40 and 44.5: mean 42.25, deviations 2.25, root of 2 * 5.0625; 42.25 / 25 = 1.69.
constexpr const char* kExpectedCsv =
    "model,method,options,distinction,shape,active_ratio,router,kind,dtype,calibration_text,calibration_tokens,"
    "overlaps_calibration,retrained_tokens,retrain_recipe,overlaps_retraining,task,task_options,task_distinction,"
    "metric,unit,better,status,value,"
    "standard_deviation,standard_error,n,num_seeds,seeds,failed_seeds,ratio_to_dense,rank,reason\r\n"
    "tiny,dense,,,,1,own,dense,float32,,,false,0,,false,perplexity,\"{\"\"window\"\":2048}\",,wiki/gptq-2048/"
    "ppl,,lower,value,"
    "25,,0.5,5,1,0,,1,,\r\n"
    "tiny,cmoe,,,S3A3E8,0.75,own,method,float32,wiki-train,16384,false,0,,false,perplexity,\"{\"\"window\"\":2048}\",,"
    "wiki/gptq-2048/ppl,,lower,value,42.25,3.181980515339464,0.5,5,2,0;1,2,1.69,,"
    "\"out of memory, \"\"really\"\"\"\r\n";

TEST(RenderCsvTest, OneLineForEachCell) { EXPECT_EQ(csv_of(compare_runs(tiny_sweep().runs())), kExpectedCsv); }

// A reader of RFC 4180 that knows nothing of ours.
std::vector<std::vector<std::string>> parse_csv(const std::string& csv) {
  std::vector<std::vector<std::string>> lines(1, std::vector<std::string>(1));
  bool is_quoted = false;
  for (size_t position = 0; position < csv.size(); ++position) {
    const char byte = csv[position];
    if (is_quoted && byte == '"' && csv[position + 1] == '"')
      lines.back().back() += csv[++position];
    else if (byte == '"')
      is_quoted = !is_quoted;
    else if (is_quoted)
      lines.back().back() += byte;
    else if (byte == ',')
      lines.back().emplace_back();
    else if (byte == '\n')
      lines.emplace_back(1);
    else if (byte != '\r')
      lines.back().back() += byte;
  }
  lines.pop_back();
  return lines;
}

TEST(RenderCsvTest, AnyNameReadsBack) {
  SyntheticRuns runs;
  runs.about["model"] = "a,\"b\"|größe";
  runs.measure_perplexity(0, std::nan(""));
  SyntheticRuns::fail(runs.measure_perplexity(1, 0), "first\nsecond\xff");
  const auto lines = parse_csv(csv_of(compare_runs(runs.runs())));
  ASSERT_THAT(lines, SizeIs(2));
  EXPECT_THAT(lines, testing::Each(SizeIs(32)));
  EXPECT_EQ(lines[1].front(), "a,\"b\"|größe");
  EXPECT_EQ(lines[1].back(), "first second\xef\xbf\xbd");
  EXPECT_EQ(lines[1][22], "nan");
}

TEST(RenderCsvTest, WideHasALineForEachRowAndEveryValueOfTheTable) {
  SyntheticRuns runs = tiny_sweep();
  runs.use("cmoe", "S3A3E7", 0.857);
  SyntheticRuns::fail(runs.convert(0, 20), "7 experts");
  const Table table = compare_runs(runs.runs());
  const auto lines = parse_csv(render_wide_csv(table));
  ASSERT_THAT(lines, SizeIs(table.rows.size() + 1));
  EXPECT_EQ(lines[0][14], "wiki/gptq-2048/ppl");
  for (size_t row = 0; row < table.rows.size(); ++row) {
    ASSERT_THAT(lines[row + 1], SizeIs(lines[0].size()));
    const Cell& cell = table.rows[row].cells[0];
    const std::string& text = lines[row + 1][14];
    if (cell.status == CellStatus::kValue) {
      EXPECT_EQ(std::stod(text), cell.value);
    } else {
      EXPECT_EQ(text, "failed");
    }
  }
}

// What a table says in CSV and JSON is what the database holds, to the last bit.
TEST(RenderTextTest, ValuesReadBackEqual) {
  SyntheticRuns runs;
  const std::vector<double> values = {0.1, 1.0 / 3, 1e-310, 123456789.123456789, 5e22, 1e308};
  for (const double value : values) {
    runs.about["dtype"] = std::to_string(runs.runs().size());
    runs.measure_perplexity(0, value);
  }
  const Table table = compare_runs(runs.runs());
  const auto lines = parse_csv(csv_of(table)), wide = parse_csv(render_wide_csv(table));
  const auto json = nlohmann::json::parse(json_of(table, {}));
  for (size_t row = 0; row < values.size(); ++row) {
    const double value = values[std::stoul(table.rows[row].about.dtype)];
    EXPECT_EQ(std::strtod(lines[row + 1][22].c_str(), nullptr), value);
    EXPECT_EQ(std::strtod(wide[row + 1][14].c_str(), nullptr), value);
    EXPECT_EQ(json["rows"][row]["cells"][0]["value"].get<double>(), value);
  }
}

TEST(RenderMarkdownTest, PublishedNumbersAreApartMarkedAndOnlyOnRequest) {
  const Table table = compare_runs(tiny_sweep().runs());
  EXPECT_THAT(render_markdown(table, {}), testing::Not(HasSubstr("arXiv")));
  const std::string text = render_markdown(table, {.with_published = true});
  EXPECT_THAT(text, HasSubstr("\n### Published numbers, quoted\n"));
  EXPECT_THAT(text, HasSubstr(" 7.32 § "));
  EXPECT_THAT(text, HasSubstr("\n§ Quoted from the source named, not measured here"));
}

TEST(PublishedNumbersTest, EveryOneIsANumberWithASource) {
  for (const PublishedNumber& number : published_numbers()) {
    EXPECT_GT(std::strtod(number.value, nullptr), 0) << number.value;
    for (const char* text : {number.model, number.method, number.metric, number.protocol, number.source}) {
      EXPECT_STRNE(text, "") << number.value;
    }
  }
}

TEST(RenderJsonTest, HoldsTheWholeTable) {
  const auto json =
      nlohmann::json::parse(json_of(compare_runs(tiny_sweep().runs()), {"moebench report --format json"}));
  EXPECT_EQ(json, nlohmann::json::parse(R"json({
    "schema": "moebench/1", "kind": "comparison", "command": "moebench report --format json",
    "seeds": [0, 1, 2], "dtypes": ["float32"], "machine_classes": ["two cores"], "builds": ["1a2b3c"], "warnings": [],
    "columns": [{"metric": "wiki/gptq-2048/ppl", "unit": "", "better": "lower", "task": "perplexity",
                 "task_options": {"window": 2048}, "distinction": "", "headline": true}],
    "rows": [
      {"model": "tiny", "method": "dense", "kind": "dense", "options": {}, "options_shown": "", "distinction": "",
       "shape": "", "active_ratio": 1.0, "router": "own", "dtype": "float32", "calibration": null, "retrained_tokens": 0,
       "retrain_recipe": "", "retrain_texts": [], "seeds": [0],
       "cells": [{"metric": "wiki/gptq-2048/ppl", "status": "value", "value": 25.0, "standard_deviation": null,
                  "standard_error": 0.5, "n": 5, "seeds": [0], "failed_seeds": [], "reason": "",
                  "ratio_to_dense": 1.0, "rank": "", "overlaps_calibration": false, "overlaps_retraining": false}]},
      {"model": "tiny", "method": "cmoe", "kind": "method", "options": {}, "options_shown": "", "distinction": "",
       "shape": "S3A3E8", "active_ratio": 0.75, "router": "own", "dtype": "float32",
       "calibration": {"texts": ["wiki-train"], "windows": 8, "window": 2048, "tokens": 16384},
       "retrained_tokens": 0, "retrain_recipe": "", "retrain_texts": [], "seeds": [0, 1, 2],
       "cells": [{"metric": "wiki/gptq-2048/ppl", "status": "value", "value": 42.25,
                  "standard_deviation": 3.181980515339464, "standard_error": 0.5, "n": 5, "seeds": [0, 1],
                  "failed_seeds": [2], "reason": "out of memory, \"really\"", "ratio_to_dense": 1.69, "rank": "",
                  "overlaps_calibration": false, "overlaps_retraining": false}]}],
    "failures": [{"subject": "cmoe S3A3E8", "stage": "perplexity", "seed": 2,
                  "reason": "out of memory, \"really\""}]
  })json"));
}

TEST(RenderJsonTest, WritesWhatJsonHasNoNumberFor) {
  for (const auto& [value, text] : {std::pair(std::nan(""), "NaN"), {HUGE_VAL, "Infinity"}, {-HUGE_VAL, "-Infinity"}}) {
    SyntheticRuns runs;
    runs.measure_perplexity(0, value);
    const auto json = nlohmann::json::parse(json_of(compare_runs(runs.runs()), {}));
    EXPECT_EQ(json["rows"][0]["cells"][0]["value"], text);
  }
}

TEST(RenderJsonTest, BytesThatAreNoTextAreReplaced) {
  SyntheticRuns runs;
  SyntheticRuns::fail(runs.measure_perplexity(0, 0), "cannot read \xff");
  const auto json = nlohmann::json::parse(json_of(compare_runs(runs.runs()), {}));
  EXPECT_EQ(json["failures"][0]["reason"], "cannot read \xef\xbf\xbd");
}

using RenderTest = StoreFixture;

TEST_F(RenderTest, ReportsFromADatabase) {
  const SyntheticRuns sweep = tiny_sweep();
  for (const RunRecord& run : sweep.runs()) open().add(run);
  const ResultStore store = open(ResultStore::Mode::kReadOnly);
  EXPECT_THAT(report_of(store, parse_report_format("csv"), {}),
              HasSubstr(",42.25,3.181980515339464,0.5,5,2,0;1,2,1.69,"));
  EXPECT_THAT(report_of(store, parse_report_format("markdown"), {}), StartsWith("### tiny\n"));
  EXPECT_THAT(report_of(store, parse_report_format("json"), {}), StartsWith("{\n  \"schema\": \"moebench/1\""));
}

TEST_F(RenderTest, QuotedNumbersAreNotMixedIntoCsv) {
  const ResultStore store = open();
  EXPECT_THROW(report_of(store, ReportFormat::kCsv, {.with_published = true}), std::invalid_argument);
  EXPECT_THROW(report_of(store, ReportFormat::kWideCsv, {.with_published = true}), std::invalid_argument);
}

TEST(RenderFormatTest, UnknownFormatNamesTheKnown) {
  try {
    parse_report_format("xml");
    FAIL() << "accepted";
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(), "report: unknown format 'xml'; known: csv csv-wide html json latex markdown terminal");
  }
}

}  // namespace
}  // namespace moebench
