#include "harness/commands/settings.h"

#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace moebench {
namespace {

using nlohmann::json;

template <class Parse>
std::string refusal(const Parse& parse) {
  try {
    parse();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}

TEST(SettingsTest, ValuesAreJsonOrText) {
  EXPECT_EQ(parse_settings({"count=3", "rate=0.5", "on=true", "score=paper", "path=/tmp/a=b", "empty="}),
            json({{"count", 3}, {"rate", 0.5}, {"on", true}, {"score", "paper"}, {"path", "/tmp/a=b"}, {"empty", ""}}));
}

TEST(SettingsTest, QuotesKeepANumberAText) { EXPECT_EQ(parse_settings({"name=\"3\""}), json({{"name", "3"}})); }

TEST(SettingsTest, GroupsAreThereWithoutSettings) {
  EXPECT_EQ(parse_grouped_settings({"a.x=1"}, "task", {"a", "b"}), json({{"a", {{"x", 1}}}, {"b", json::object()}}));
}

TEST(SettingsTest, RefusesWhatIsNoSetting) {
  EXPECT_THAT(refusal([] { parse_settings({"count"}); }), testing::HasSubstr("--set count: not name=value"));
  EXPECT_THAT(refusal([] { parse_settings({"=3"}); }), testing::HasSubstr("not name=value"));
  EXPECT_THAT(refusal([] { parse_settings({"a=1", "a=2"}); }), testing::HasSubstr("a: given twice"));
  EXPECT_THAT(refusal([] { parse_grouped_settings({"window=1"}, "task", {"a"}); }),
              testing::HasSubstr("not task.option=value"));
  EXPECT_THAT(refusal([] { parse_grouped_settings({"perplexty.window=1"}, "task", {"perplexity"}); }),
              testing::HasSubstr("did you mean 'perplexity'?"));
}

}  // namespace
}  // namespace moebench
