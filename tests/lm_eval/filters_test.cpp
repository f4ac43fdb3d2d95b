// The expected values are those of Python 3.11's re module and of lm-eval 0.4.13's filters, where no other is named.
#include "harness/lm_eval/filters.h"

#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/lm_eval/python_regex.h"

namespace moebench {
namespace {

using nlohmann::ordered_json;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(PythonRegexTest, FindAllYieldsTheGroupsOrTheWholeMatch) {
  EXPECT_THAT(PythonRegex("(-?[$0-9.,]{2,})|(-?[0-9]+)").find_all("a 12 b -3"),
              ElementsAre(ElementsAre("12", ""), ElementsAre("", "-3")));
  EXPECT_THAT(PythonRegex("[0-9]+").find_all("1 22"), ElementsAre(ElementsAre("1"), ElementsAre("22")));
  EXPECT_THAT(PythonRegex("é(.)").find_all("éü"), ElementsAre(ElementsAre("ü")));
}

// re.sub('x*', '', 'abxd') has an empty match right after 'x'; re.findall('x*', 'abxd') == ['', '', 'x', '', ''].
TEST(PythonRegexTest, AnEmptyMatchMayFollowAnother) {
  EXPECT_THAT(PythonRegex("x*").find_all("abxd"),
              ElementsAre(ElementsAre(""), ElementsAre(""), ElementsAre("x"), ElementsAre(""), ElementsAre("")));
  EXPECT_EQ(PythonRegex("x*").remove_all("abxd"), "abd");
}

TEST(PythonRegexTest, WhiteSpaceIsPythons) {
  EXPECT_EQ(PythonRegex("\\s").remove_all("a\x1c\u00a0\u3000\u2028b\u180e"), "ab\u180e");
  EXPECT_EQ(PythonRegex("[\\s,]+").remove_all("a,\x1f b"), "ab");
  EXPECT_EQ(PythonRegex("\\S").remove_all("a\x1e b"), "\x1e ");
}

TEST(PythonRegexTest, FlagsAndAnchorsArePythons) {
  EXPECT_EQ(PythonRegex("(?s).*#### ").remove_all("a\nb #### 7"), "7");
  EXPECT_EQ(PythonRegex(".*#### ").remove_all("a\nb #### 7"), "a\n7");
  EXPECT_EQ(PythonRegex("\\.$").remove_all("7."), "7");
  EXPECT_EQ(PythonRegex("\\.$").remove_all("7.\n"), "7\n");
  EXPECT_EQ(PythonRegex("\\.\\Z").remove_all("7.\n"), "7.\n");
}

TEST(PythonRegexTest, WhatPcreReadsOtherwiseIsRefused) {
  for (const char* pattern : {"\\h", "\\R", "[[:alpha:]]", "a{,3}", "(", "\\"}) {
    EXPECT_THROW(PythonRegex{pattern}, std::invalid_argument) << pattern;
  }
}

// The filters of gsm8k.
const ordered_json& gsm8k_filters() {
  static const ordered_json filters = ordered_json::parse(R"json([
    {"name": "strict-match", "filter": [{"function": "regex", "regex_pattern": "#### (\\-?[0-9\\.\\,]+)"},
                                        {"function": "take_first"}]
},
    {"name": "flexible-extract", "filter": [{"function": "regex", "group_select": -1,
                                             "regex_pattern": "(-?[$0-9.,]{2,})|(-?[0-9]+)"},
                                            {"function": "take_first"}]}])json");
  return filters;
}

TEST(ResponseFilterTest, Gsm8ksStrictMatchTakesTheFirstAnswer) {
  const ResponseFilter strict = response_filters(gsm8k_filters()).at(0);
  EXPECT_EQ(strict.name, "strict-match");
  EXPECT_EQ(strict.apply("so\n#### -1,200.5 or #### 7"), "-1,200.5");
  EXPECT_EQ(strict.apply("the answer is 7"), "[invalid]");
}

TEST(ResponseFilterTest, Gsm8ksFlexibleExtractTakesTheLastNumber) {
  const ResponseFilter flexible = response_filters(gsm8k_filters()).at(1);
  EXPECT_EQ(flexible.apply("from 3 to $1,200."), "$1,200.");
  EXPECT_EQ(flexible.apply("#### 12 or 5"), "5");
  EXPECT_EQ(flexible.apply("none"), "[invalid]");
}

TEST(ResponseFilterTest, StepsFollowEachOther) {
  const auto filters = response_filters(ordered_json::parse(R"([{"name": "f", "filter": [
      {"function": "lowercase"}, {"function": "regex", "regex_pattern": "a(.*)b", "fallback": "?"},
      {"function": "remove_whitespace"}, {"function": "take_first"}]}])"));
  EXPECT_EQ(filters.at(0).apply("xA  Q B"), "q");
  EXPECT_EQ(filters.at(0).apply("xyz"), "?");
}

TEST(ResponseFilterTest, NoListIsOneFilterThatChangesNothing) {
  const auto filters = response_filters(nullptr);
  ASSERT_EQ(filters.size(), 1u);
  EXPECT_EQ(filters[0].name, "none");
  EXPECT_EQ(filters[0].apply(" x "), " x ");
}

void expect_refusal(const char* filter_list, const char* words) {
  try {
    response_filters(ordered_json::parse(filter_list));
    ADD_FAILURE() << filter_list << " was accepted";
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), HasSubstr(words));
  }
}

TEST(ResponseFilterTest, UnknownFunctionsAndSettingsAreRefusedByName) {
  expect_refusal(R"([{"name": "f", "filter": [{"function": "majority_vote"}, {"function": "take_first"}]}])",
                 "'majority_vote'");
  expect_refusal(R"([{"name": "f", "filter": [{"function": "regex", "group": 1}, {"function": "take_first"}]}])",
                 "'group'");
  expect_refusal(R"([{"name": "f", "filter": [{"function": "lowercase"}]}])", "take_first");
  expect_refusal(R"([{"filter": []}])", "name");
}

}  // namespace
}  // namespace moebench
