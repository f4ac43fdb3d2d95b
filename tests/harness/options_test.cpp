#include "harness/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace moebench {
namespace {

struct SampleOptions {
  int64_t count = 10;
  double rate = 0.5;
  bool enabled = true;
  std::string score = "code";
  void for_each(auto&& visit) {
    visit("count", count, "how many");
    visit("rate", rate, "how often");
    visit("enabled", enabled, "whether");
    visit("score", score, "which", {"code", "paper"});
  }
};

std::string refusal(const nlohmann::json& json) {
  try {
    parse_options<SampleOptions>("sample", json);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}

TEST(OptionsTest, KeepsDefaultsForWhatIsNotGiven) {
  const auto options = parse_options<SampleOptions>("sample", {{"count", 3}});
  EXPECT_EQ(options.count, 3);
  EXPECT_EQ(options.rate, 0.5);
}

TEST(OptionsTest, RefusesAnUnknownKeyAndSuggestsTheNearest) {
  EXPECT_THAT(refusal({{"cuont", 3}}), testing::HasSubstr("did you mean 'count'?"));
}

TEST(OptionsTest, TheBeginningOfANameMeansIt) {
  EXPECT_EQ(nearest_name("perp", {"expert_load", "perplexity"}), "perplexity");
  EXPECT_EQ(nearest_name("per", {"expert_load", "perplexity"}), "");
}

TEST(OptionsTest, KnownNamesAreListedOnce) {
  EXPECT_EQ(unknown_name_message("method", "dive", {"cmoe", "dense", "cmoe"}),
            "unknown method 'dive'; known: cmoe dense");
}

TEST(OptionsTest, RefusesAWrongType) {
  EXPECT_THAT(refusal({{"count", 3.5}}), testing::HasSubstr("'count' wants a whole number, not 3.5"));
  EXPECT_THAT(refusal({{"enabled", 1}}), testing::HasSubstr("'enabled' wants true or false"));
  EXPECT_THAT(refusal(nlohmann::json::array()), testing::HasSubstr("options must be a table"));
}

TEST(OptionsTest, RefusesAValueThatIsNotAmongTheChoices) {
  EXPECT_THAT(refusal({{"score", "papre"}}), testing::HasSubstr("did you mean 'paper'?"));
}

TEST(OptionsTest, ResolvedJsonHoldsEveryOption) {
  EXPECT_EQ(options_to_json(SampleOptions{}),
            nlohmann::json({{"count", 10}, {"rate", 0.5}, {"enabled", true}, {"score", "code"}}));
}

}  // namespace
}  // namespace moebench
