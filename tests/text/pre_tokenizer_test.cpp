#include "harness/text/pre_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/text/regex.h"

namespace moebench {
namespace {

using testing::ElementsAre;

std::vector<std::string> pieces_of(const nlohmann::json& pre_tokenizer, const std::string& text) {
  const Pieces pieces = PreTokenizer(pre_tokenizer).split(text, true);
  std::vector<std::string> views;
  for (const Pieces::Span& span : pieces.spans) views.emplace_back(pieces.view(span));
  return views;
}

nlohmann::json split(const std::string& pattern, const std::string& behavior, bool invert = false) {
  return {{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", behavior}, {"invert", invert}};
}

// The example of Hugging Face's documentation of SplitDelimiterBehavior.
TEST(PreTokenizerTest, MatchesAreTreatedAsTheBehaviorSays) {
  const std::string text = "the-final--countdown";
  EXPECT_THAT(pieces_of(split("-", "Removed"), text), ElementsAre("the", "final", "countdown"));
  EXPECT_THAT(pieces_of(split("-", "Isolated"), text), ElementsAre("the", "-", "final", "-", "-", "countdown"));
  EXPECT_THAT(pieces_of(split("-", "MergedWithPrevious"), text), ElementsAre("the-", "final-", "-", "countdown"));
  EXPECT_THAT(pieces_of(split("-", "MergedWithNext"), text), ElementsAre("the", "-final", "-", "-countdown"));
  EXPECT_THAT(pieces_of(split("-", "Contiguous"), text), ElementsAre("the", "-", "final", "--", "countdown"));
}

TEST(PreTokenizerTest, InvertedPatternMatchesTheGaps) {
  EXPECT_THAT(pieces_of(split("[a-z]+", "Removed", true), "a1b22c"), ElementsAre("a", "b", "c"));
}

TEST(PreTokenizerTest, EmptyMatchesCutWithoutTakingAnything) {
  EXPECT_THAT(pieces_of(split("(?=[A-Z])", "Isolated"), "aBcD"), ElementsAre("a", "Bc", "D"));
}

TEST(PreTokenizerTest, EndOfPieceIsTheEndOfTheText) {
  const nlohmann::json sequence = {
      {"type", "Sequence"},
      {"pretokenizers",
       {{{"type", "Digits"}, {"individual_digits", false}}, {{"type", "ByteLevel"}, {"add_prefix_space", false}}}}};
  EXPECT_THAT(pieces_of(sequence, "a  12 b"), ElementsAre("a", "  ", "12", " b"));
}

TEST(PreTokenizerTest, LiteralPatternIsNoExpression) {
  const nlohmann::json literal = {{"type", "Split"}, {"pattern", {{"String", ".("}}}, {"behavior", "Isolated"}};
  EXPECT_THAT(pieces_of(literal, "a.(b.c"), ElementsAre("a", ".(", "b.c"));
}

bool matches(const char* pattern, const char* text) {
  RegexSearch search((Regex(pattern)));
  search.start_on(text);
  return search.next();
}

TEST(RegexTest, WhitespaceIsUnicodesAndNotPcres) {
  for (const char* space : {" ", "\n", "\u0085", "\u00A0", "\u2003", "\u3000"}) {
    EXPECT_TRUE(matches("\\s", space));
    EXPECT_FALSE(matches("[^\\s]", space));
  }
  for (const char* other : {"\u180E", "\u200B", "\x1C"}) {
    EXPECT_FALSE(matches("\\s", other));
    EXPECT_TRUE(matches("[\\S]", other));
  }
}

TEST(RegexTest, LineEndsMatchAsInRuby) {
  EXPECT_TRUE(matches("a$", "a\nb"));
  EXPECT_TRUE(matches("^b", "a\nb"));
}

TEST(RegexTest, ConstructsOfAnotherMeaningAreRefused) {
  for (const char* pattern :
       {"\\h", "a\\H", "\\w", "[\\W]", "\\bx", "(?m:.)", "(?im).", "[a&&b]", "[a[b]]", "[]a[b]]", "[[:alpha:]]",
        "\\p{N}{1,3}+", "a{2}+", "a{2,}+", "a{2}?", "a{,2}", "(", "[", "\\xFF\xFF"}) {
    EXPECT_THROW(Regex{pattern}, std::runtime_error) << pattern;
  }
  for (const char* pattern : {"(?i:'m)", "\\[a&&b\\]", "a&&b", "(?:m)", "(?!m)", "[a\\[b]", "[]a]", "\\p{N}{1,3}",
                              "\\p{N}{1,3}?", "\\p{L}+", "\\x{41}+", "[{1}+]", "\\{1}+", "{}"})
    EXPECT_NO_THROW(Regex{pattern}) << pattern;
}

TEST(RegexTest, EndlessBacktrackingGivesUp) {
  RegexSearch search((Regex("(a|aa)+$")));
  const std::string text = std::string(200, 'a') + "b";
  search.start_on(text);
  EXPECT_THROW(search.next(), std::runtime_error);
}

}  // namespace
}  // namespace moebench
