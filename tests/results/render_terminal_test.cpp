#include "results/terminal_table.h"

#include <algorithm>
#include <sstream>

#include <gmock/gmock.h>

#include "results/comparison.h"
#include "results/render.h"
#include "tests/results/hostile_names.h"

namespace moebench {
namespace {

using testing::HasSubstr;
using testing::Not;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

TEST(TerminalTableTest, WidthIsCountedInColumnsOfTheScreen) {
  EXPECT_EQ(screen_width("abc"), 3);
  EXPECT_EQ(screen_width("größe"), 5);
  EXPECT_EQ(screen_width("模型"), 4);
  EXPECT_EQ(screen_width("e\xcc\x81"), 1) << "a letter and its accent";
}

TEST(TerminalTableTest, ColumnsLineUp) {
  EXPECT_EQ(terminal_table({{{"name"}, false, {{"größe"}, {"模型"}}}, {{"n"}, true, {{"1"}, {"10"}}}}, 0, false),
            "name    n\n─────────\ngröße   1\n模型   10\n");
}

TEST(TerminalTableTest, WhatDoesNotFitFollowsBelowWithTheNamesAgain) {
  const std::vector<TerminalColumn> columns = {
      {{"name"}, false, {{"a"}}}, {{"first"}, true, {{"1"}}}, {{"second"}, true, {{"2"}}}};
  EXPECT_EQ(terminal_table(columns, 16, false),
            "name  first\n───────────\na         1\n\nname  second\n────────────\na          2\n");
}

TEST(TerminalTableTest, HeadingsStandAboveTheRowsThatShareThem) {
  const std::vector<TerminalColumn> columns = {{{"n"}, false, {{"a"}, {"b"}, {"c"}}},
                                               {{"v"}, true, {{"1"}, {"2"}, {"3"}}}};
  EXPECT_EQ(terminal_table(columns, 0, false, {"one", "one", "two"}), "n  v\n────\none\na  1\nb  2\ntwo\nc  3\n");
}

TEST(TerminalTableTest, MarksAreEscapesOnlyWhereColourIsWanted) {
  const std::vector<TerminalColumn> columns = {{{"n"}, false, {{"x"}}}, {{"v"}, true, {{"1", TerminalMark::kBold}}}};
  EXPECT_THAT(terminal_table(columns, 0, true), HasSubstr("\x1b[1m1\x1b[0m"));
  EXPECT_THAT(terminal_table(columns, 0, false), Not(HasSubstr("\x1b")));
}

TEST(TerminalTableTest, ParagraphsWrapAtSpaces) {
  EXPECT_EQ(wrapped("one two three", 8, "  "), "one two\n  three\n");
  EXPECT_EQ(wrapped("one two three", 0, "  "), "one two three\n");
}

SyntheticRuns terminal_sweep() {
  SyntheticRuns runs;
  runs.measure_perplexity(0, 25);
  runs.use("static_pruning", "S6A0E8", 0.75);
  runs.measure_perplexity(0, 50);
  runs.use("cmoe", "S3A3E8", 0.75);
  runs.measure_perplexity(0, 40);
  return runs;
}

TEST(RenderTerminalTest, BestAndSecondHaveSignsWithoutColour) {
  const std::string text = render_terminal(compare_runs(terminal_sweep().runs()), {});
  EXPECT_THAT(text, HasSubstr(" *40.00"));
  EXPECT_THAT(text, HasSubstr(" +50.00"));
  EXPECT_THAT(text, HasSubstr("* best, + second best mean at the same"));
}

TEST(RenderTerminalTest, NoLineIsWiderThanTheWindow) {
  for (const size_t width : {60, 80, 100}) {
    for (const std::string& line : lines_of(render_terminal(compare_runs(terminal_sweep().runs()), {.width = width}))) {
      EXPECT_LE(screen_width(line), width) << line;
    }
  }
}

TEST(RenderTerminalTest, ATerminalObeysNoName) {
  for (const std::string& name : kHostileNames) {
    const std::string text = render_terminal(compare_runs(runs_named(name).runs()), {.width = 80});
    const bool has_control = std::any_of(
        text.begin(), text.end(), [](unsigned char byte) { return (byte < 0x20 && byte != '\n') || byte == 0x7f; });
    EXPECT_FALSE(has_control) << name;
  }
}

}  // namespace
}  // namespace moebench
