#include "harness/commands/json_lines.h"

#include <fstream>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/error.h"

namespace moebench {
namespace {

// The error that reading all of text ends with.
std::string refusal(const std::string& text) {
  std::istringstream stream(text);
  JsonLines lines(stream, "stdin");
  try {
    while (lines.next()) continue;
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "accepted";
}

TEST(JsonLinesTest, ReadsAValueALineWithOrWithoutALastLineBreak) {
  for (const char* text : {"\"a\"\n[1]\n", "\"a\"\n[1]"}) {
    std::istringstream stream(text);
    JsonLines lines(stream, "stdin");
    EXPECT_EQ(lines.next(), nlohmann::json("a"));
    EXPECT_EQ(lines.next(), nlohmann::json::array({1}));
    EXPECT_EQ(lines.next(), std::nullopt);
  }
}

TEST(JsonLinesTest, SplitsAtLineFeedsOnly) {
  std::istringstream stream("\"a\xE2\x80\xA8z\"\n");  // U+2028, a line separator to Unicode
  EXPECT_EQ(JsonLines(stream, "stdin").next(), nlohmann::json("a\xE2\x80\xA8z"));
}

TEST(JsonLinesTest, ErrorsNameTheLine) {
  EXPECT_THAT(refusal("1\n2\n{\"a\":\n"), testing::HasSubstr("stdin, line 3: not JSON"));
  EXPECT_THAT(refusal("1\n\n2\n"), testing::HasSubstr("stdin, line 2"));
  EXPECT_THAT(refusal("\"a\xFF\"\n"), testing::HasSubstr("stdin, line 1: not JSON in UTF-8"));
  EXPECT_THAT(refusal("1 2\n"), testing::HasSubstr("stdin, line 1"));
}

TEST(JsonLinesTest, ALineHasALimit) {
  EXPECT_THAT(refusal("1\n\"" + std::string((size_t{64} << 20) + 1, 'a')),
              testing::HasSubstr("line 2: longer than 64"));
}

TEST(JsonLinesTest, DeepNestingIsOnlyMemory) {
  EXPECT_THAT(refusal(std::string(1 << 20, '[')), testing::HasSubstr("line 1: not JSON"));
}

TEST(JsonLinesTest, AFullDiskIsReported) {
  std::ofstream full("/dev/full");
  if (!full) GTEST_SKIP() << "no /dev/full on this system";
  EXPECT_THROW(write_line(full, "text"), TryAgainError);
}

}  // namespace
}  // namespace moebench
