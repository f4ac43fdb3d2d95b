#include "harness/text/unicode.h"

#include <gtest/gtest.h>

#include "harness/checkpoint/utf8.h"

namespace moebench {
namespace {

constexpr size_t kValid = std::string_view::npos;

TEST(UnicodeTest, Utf8IsCheckedAsTheStandardDefinesIt) {
  EXPECT_EQ(find_invalid_utf8(""), kValid);
  EXPECT_EQ(find_invalid_utf8(std::string_view("a\0b", 3)), kValid);
  EXPECT_EQ(find_invalid_utf8("\u007F\u0080\u07FF\u0800\uD7FF\uE000\uFFFF\U00010000\U0010FFFF"), kValid);
  EXPECT_EQ(find_invalid_utf8("a\x80"), 1u);             // a continuation byte alone
  EXPECT_EQ(find_invalid_utf8("\xC1\xBF"), 0u);          // overlong
  EXPECT_EQ(find_invalid_utf8("\xE0\x9F\xBF"), 0u);      // overlong
  EXPECT_EQ(find_invalid_utf8("\xF0\x8F\xBF\xBF"), 0u);  // overlong
  EXPECT_EQ(find_invalid_utf8("\xED\xBF\xBF"), 0u);      // a surrogate
  EXPECT_EQ(find_invalid_utf8("\xF4\x90\x80\x80"), 0u);  // above U+10FFFF
  EXPECT_EQ(find_invalid_utf8("12345678\xE2\x82"), 8u);  // cut short
  EXPECT_EQ(find_invalid_utf8("123456789012345é\xFF"), 17u);
}

// python3: b'...'.decode(errors='replace')
TEST(UnicodeTest, InvalidSequencesBecomeOneReplacementEach) {
  EXPECT_EQ(replace_invalid_utf8("a\xF0\x9F\x98z"), "a\uFFFDz");
  EXPECT_EQ(replace_invalid_utf8("\xE2\x82\xE2\x82\xAC"), "\uFFFD\u20AC");
  EXPECT_EQ(replace_invalid_utf8("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(replace_invalid_utf8("\xFF\xFE"), "\uFFFD\uFFFD");
}

TEST(UnicodeTest, CharactersAreReadFromBothEnds) {
  EXPECT_EQ(first_character("\U0001F600a"), U'\U0001F600');
  EXPECT_EQ(last_character("aé\u65E5"), U'\u65E5');
  EXPECT_EQ(count_characters("aé\u65E5\U0001F600"), 4u);
}

TEST(UnicodeTest, NfcComposes) {
  EXPECT_EQ(to_nfc("e\u0301 plain"), "\u00E9 plain");
  EXPECT_EQ(to_nfc("\u1100\u1161\u11A8"), "\uAC01");
  EXPECT_EQ(to_nfc("\u212B"), "\u00C5");
  EXPECT_EQ(to_nfc("q\u0307\u0323"), "q\u0323\u0307");
  EXPECT_EQ(to_nfc("q\u0323\u0307\u0301\u0323 e\u0323\u0302"), "q\u0323\u0323\u0307\u0301 \u1EC7");
  EXPECT_EQ(to_nfc("\u0344\u0958\u2126"), "\u0308\u0301\u0915\u093C\u03A9");  // excluded from composition
  EXPECT_EQ(to_nfc("ascii only"), "ascii only");
  EXPECT_EQ(to_nfc("12345678e\u0301"), "12345678\u00E9");
}

// Takes milliseconds; sorting by insertion would take a quarter of an hour.
TEST(UnicodeTest, AMegabyteOfMarksInTheWrongOrderDoesNotGoQuadratic) {
  std::string marks, ordered;
  for (int count = 0; count < 250'000; ++count) marks += "\u0301\u0323";
  for (int count = 0; count < 250'000; ++count) ordered += "\u0323";
  for (int count = 0; count < 250'000; ++count) ordered += "\u0301";
  EXPECT_TRUE(to_nfc(marks) == ordered);
}

}  // namespace
}  // namespace moebench
