#include <sys/wait.h>
#include <unistd.h>
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>

#include <gmock/gmock.h>

#include "results/comparison.h"
#include "results/history_charts.h"
#include "results/markup.h"
#include "results/render.h"
#include "results/run_commands.h"
#include "tests/results/hostile_names.h"

namespace moebench {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string html(const SyntheticRuns& runs, const ReportOptions& options = {}) {
  std::string text;
  render_html(compare_runs(runs.runs()), runs.runs(), history_charts(runs.runs()), options,
              [&](std::string_view piece) { text += piece; });
  return text;
}

SyntheticRuns html_sweep() {
  SyntheticRuns runs;
  runs.measure_perplexity(0, 25);
  runs.use("static_pruning", "S6A0E8", 0.75);
  runs.convert(0, 3);
  runs.measure_perplexity(0, 50);
  runs.use("cmoe", "S3A3E8", 0.75, {{"top", 10}});
  runs.about["changed_options"] = {{"top", 10}};
  for (const int64_t seed : {0, 1}) {
    runs.convert(seed, 20);
    runs.measure_perplexity(seed, seed == 0 ? 40 : 44);
  }
  runs.use("cmoe", "S3A3E7", 0.857142857);
  SyntheticRuns::fail(runs.convert(0, 20), "7 experts do not share out 1536");
  return runs;
}

TEST(MarkupTest, AnyTextIsText) {
  EXPECT_EQ(escape_markup("<a href=\"x\">'&"), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;");
  EXPECT_EQ(escape_markup("größe 模型\n\xff"), "größe 模型 \xef\xbf\xbd");
}

TEST(RenderHtmlTest, LeadsWithWhatTheTableSays) {
  EXPECT_THAT(html(html_sweep()),
              HasSubstr("With 75 % of the neurons active, cmoe (top=10) without retraining does best of the methods: "
                        "42.00 ± 2.83, 1.680 times dense&#39;s, ahead of static_pruning at 50.00."));
}

TEST(RenderHtmlTest, DenseMadeToBeRetrainedIsNoRowButACommand) {
  SyntheticRuns runs;
  runs.measure_perplexity(0, 25);
  runs.use("dense", "S1A0E1", 1);
  runs.convert(0, 1);
  runs.about["retrained_tokens"] = 1000;
  runs.about["retraining"] = {{"recipe", "common"}, {"texts", {"wiki"}}, {"window", 512}, {"budget", 1000}};
  runs.retrain(0, 5);
  runs.measure_perplexity(0, 20);
  const Table table = compare_runs(runs.runs());
  ASSERT_THAT(table.rows, testing::SizeIs(2));
  EXPECT_EQ(table.rows[0].cells[0].value, 25);
  EXPECT_EQ(table.rows[1].cells[0].value, 20);
  EXPECT_THAT(html(runs), HasSubstr("moebench convert --model tiny --method dense --shape S1A0E1 "));
}

TEST(RenderHtmlTest, CellsCarryTheExactValueThatTheySortBy) {
  const std::string page = html(html_sweep());
  EXPECT_THAT(page, HasSubstr("<td class=\"best\" data-v=\"42\">42.00 ± 2.83</td>"));
  EXPECT_THAT(page, HasSubstr("<td data-v=\"50\"><u>50.00</u></td>"));
  EXPECT_THAT(page, HasSubstr("<td class=\"failed\" data-v=\"\">FAILED: 7 experts do not share out 1536</td>"));
}

// What cells carry to sort by is what the database holds, to the last bit.
TEST(RenderHtmlTest, ValuesReadBackEqual) {
  SyntheticRuns runs;
  const std::vector<double> values = {0.1, 1.0 / 3, 1e-310, 123456789.123456789, 1e308};
  for (const double value : values) {
    runs.about["dtype"] = std::to_string(runs.runs().size());
    runs.measure_perplexity(0, value);
  }
  const std::string page = html(runs);
  std::set<double> found;
  for (size_t at = page.find("data-v=\""); at != std::string::npos; at = page.find("data-v=\"", at + 1)) {
    found.insert(std::strtod(page.c_str() + at + std::strlen("data-v=\""), nullptr));
  }
  EXPECT_THAT(found, testing::IsSupersetOf(values));
}

TEST(RenderHtmlTest, EveryRowHasItsCommandsAndItsRuns) {
  const std::string page = html(html_sweep());
  EXPECT_THAT(page, HasSubstr("moebench convert --model tiny --method cmoe --shape S3A3E8 --set top=10 --calibration "
                              "wiki-train --windows 8 --window 2048 --seed 0 --out conversion.safetensors"));
  EXPECT_THAT(page, HasSubstr("moebench eval --model tiny --conversion conversion.safetensors --tasks perplexity --set "
                              "perplexity.window=2048"));
  const SyntheticRuns runs = html_sweep();
  for (const RunRecord& run : runs.runs()) EXPECT_THAT(page, HasSubstr(run.uuid));
}

TEST(RenderHtmlTest, SaysWhyAFigureIsMissing) {
  EXPECT_THAT(html(html_sweep()), HasSubstr("The database has no expert load: the task expert_load measures it."));
  EXPECT_THAT(html(html_sweep()), HasSubstr("<figure id=\"pareto-1\">"));
}

TEST(RenderHtmlTest, LoadsNothing) {
  const std::string page = html(html_sweep(), {.with_published = true});
  EXPECT_THAT(page, HasSubstr("Content-Security-Policy\" content=\"default-src 'none';"));
  for (const char* reference : {" src=", "href=\"http", "url(", "@import"})
    EXPECT_THAT(page, Not(HasSubstr(reference)));
}

TEST(RenderHtmlTest, PublishedNumbersAreApartAndMarked) {
  EXPECT_THAT(html(html_sweep()), Not(HasSubstr("arXiv")));
  EXPECT_THAT(html(html_sweep(), {.with_published = true}), HasSubstr("<td class=\"text\">7.32 §</td>"));
}

TEST(RenderHtmlTest, EmptyDatabaseSaysSo) {
  EXPECT_THAT(html(SyntheticRuns()), HasSubstr("<p>No runs to compare yet.</p>"));
}

// Outside of the page's own style and script only these elements are ever written.
std::set<std::string> elements_of(const std::string& page) {
  std::set<std::string> names;
  for (size_t at = page.find('<'); at != std::string::npos; at = page.find('<', at + 1)) {
    size_t end = at + 1;
    while (end < page.size() && (std::isalnum(static_cast<unsigned char>(page[end])) || page[end] == '/')) ++end;
    names.insert(page.substr(at + 1, end - at - 1));
  }
  return names;
}

TEST(RenderHtmlTest, NoNameBecomesMarkup) {
  const std::set<std::string> known = elements_of(html(runs_named("plain"), {.command = "x"}));
  for (const std::string& name : kHostileNames) {
    const std::string page = html(runs_named(name), {.command = name});
    EXPECT_THAT(elements_of(page), testing::IsSubsetOf(known)) << name;
    EXPECT_EQ(page.find("<script"), page.rfind("<script")) << "only the page's own";
    for (const char* attribute : {" onmouseover=\"", " onmouseover='"}) {
      EXPECT_THAT(page, Not(HasSubstr(attribute)));
    }
    EXPECT_THAT(page, Not(HasSubstr("\x1b")));
  }
}

TEST(RunCommandsTest, RetrainingIsSpelledOut) {
  SyntheticRuns runs;
  runs.use("cmoe", "S3A3E8", 0.75);
  runs.about["retrained_tokens"] = 1000;
  runs.about["dtype"] = "bfloat16";
  runs.about["retraining"] = {{"recipe", "common, bfloat16, learning_rate=0.001"},
                              {"texts", {"wiki train"}},
                              {"window", 512},
                              {"budget", 4000}};
  EXPECT_EQ(command_of(runs.retrain(3, 1)),
            "moebench retrain --model tiny --conversion conversion.safetensors --text 'wiki train' --tokens 1000,4000 "
            "--recipe common --dtype bfloat16 --set learning_rate=0.001 --window 512 --seed 3 --out "
            "retrained.safetensors");
  runs.use_oracle();
  EXPECT_EQ(command_of(runs.measure(3, {}, "perplexity", {{"text", "1"}, {"window", 16}})),
            "moebench eval --model tiny --conversion retrained-1000.safetensors --oracle --dtype bfloat16 --tasks "
            "perplexity --set 'perplexity.text=\"1\"' --set perplexity.window=16");
}

TEST(RunCommandsTest, ConfigsOfAnyShapeGiveACommandOrNone) {
  for (const char* text :
       {"null", "[]", "1", R"({"model": 1})", R"({"model": "m", "method": "x", "retraining": []})"}) {
    RunRecord run{.stage = "measure", .config = nlohmann::json::parse(text)};
    EXPECT_NO_THROW(command_of(run)) << text;
    run.stage = "retrain";
    EXPECT_NO_THROW(command_of(run)) << text;
  }
}

// 1000 runs as a sweep leaves them: 111 rows of three seeds, three tasks each.
SyntheticRuns runs_of_a_sweep() {
  SyntheticRuns runs;
  for (int layout = 0; layout < 111; ++layout) {
    runs.use("cmoe", "S1A3E" + std::to_string(layout + 8), 0.1 * (1 + layout % 9));
    for (const int64_t seed : {0, 1, 2}) {
      runs.measure_perplexity(seed, 40 + layout);
      runs.measure(seed, {{"activated_parameters/all", "parameters", 1e8 + layout}}, "activated_parameters");
      std::vector<Metric> load;
      for (int cell = 0; cell < 30 * 8; ++cell) {
        load.push_back(
            {"expert_load/layer-" + std::to_string(cell / 8) + "/expert-" + std::to_string(cell % 8), "", 0.4});
      }
      runs.measure(seed, load, "expert_load");
    }
  }
  return runs;
}

TEST(RenderHtmlTest, APageOfAThousandRunsIsBelowThreeMegabytes) {
  EXPECT_LT(html(runs_of_a_sweep()).size(), 3'000'000);
}

TEST(RenderHtmlTest, WorksInARealBrowser) {
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("moebench-html-" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  SyntheticRuns hostile = html_sweep();
  for (const std::string& name : kHostileNames) {
    const SyntheticRuns named = runs_named(name);
    for (const RunRecord& run : named.runs()) {
      hostile.about = run.config;
      hostile.measure(run.seed, run.metrics, "task", run.config.value("task_options", nlohmann::json::object()));
    }
  }
  std::ofstream(folder / "report.html") << html(hostile, {.command = "moebench report", .with_published = true});
  const std::string command = std::string("python3 ") + MOEBENCH_CHROMIUM_SCRIPT + " '" +
                              (folder / "report.html").string() + "' > '" + (folder / "faults.txt").string() + "' 2>&1";
  const int exit_code = WEXITSTATUS(std::system(command.c_str()));
  std::ifstream file(folder / "faults.txt");
  const std::string faults((std::istreambuf_iterator<char>(file)), {});
  std::filesystem::remove_all(folder);
  if (exit_code == 77 || exit_code == 127) GTEST_SKIP() << faults;
  EXPECT_EQ(exit_code, 0) << faults;
}

}  // namespace
}  // namespace moebench
