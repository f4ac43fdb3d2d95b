// Python 3.11's answers.
#include "harness/lm_eval/python_string.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/lm_eval/wikitext.h"

namespace moebench {
namespace {

using ::testing::ElementsAre;

TEST(PythonStringTest, StripTakesUnicodeSpacesAndInformationSeparators) {
  EXPECT_EQ(strip("\x1c\u0085 a\u2003"), "a");
  EXPECT_EQ(strip("\u200b a"), "\u200b a");
  EXPECT_EQ(right_strip(" a\n "), " a");
  EXPECT_EQ(strip(" \n"), "");
}

TEST(PythonStringTest, LowerKnowsTheDottedIAndTheFinalSigma) {
  EXPECT_EQ(lower("İIΣ ΑΣ ΑΣΑ"), "i\u0307iς ας ασα");
  EXPECT_EQ(capitalize("ßa"), "Ssa");
  EXPECT_EQ(capitalize("ǆA"), "ǅa");
  EXPECT_EQ(upper("aß"), "ASS");
}

TEST(PythonStringTest, SplitKeepsEmptyPartsUnlessAtSpaces) {
  EXPECT_THAT(split("a  b ", " "), ElementsAre("a", "", "b", ""));
  EXPECT_THAT(split("", " "), ElementsAre(""));
  EXPECT_THAT(split_at_spaces(" a \n b "), ElementsAre("a", "b"));
}

TEST(PythonStringTest, ReprQuotesAndEscapesWhatIsNotPrintable) {
  EXPECT_EQ(python_repr("it's"), "\"it's\"");
  EXPECT_EQ(python_repr(std::string_view("a\u200b\0'\"\n\U0001F600\u0378", 14)), R"('a\u200b\x00\'"\n😀\u0378')");
}

TEST(WikitextTest, PagesBeginAtTitlesButNotAtSections) {
  EXPECT_THAT(wikitext_pages(" \n = One = \n text\n = = Section = = \n = Two = \n end\n"),
              ElementsAre(" = One = \n text\n = = Section = = ", " = Two = \n end\n"));
}

TEST(WikitextTest, TokenisationIsUndone) {
  EXPECT_EQ(detokenised_wikitext("the boys ' 5 @,@ 000 ( a\n ) , \" q \" = = = T = = = \n it 's N at 3 ° C"),
            "the boys'5,000 (a), \"q\" === T ===\nit's 1 at 3°C");
}

}  // namespace
}  // namespace moebench
