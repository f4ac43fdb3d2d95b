// latency: what it prints of a tiny model, and what it refuses.
#include "tests/commands/command_fixture.h"

namespace moebench {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

class LatencyCommandTest : public CommandFixture {
 protected:
  void SetUp() override {
    CommandFixture::SetUp();
    output({"convert", "--model", "model", "--method", "random_split", "--shape", "S1A2E4", "--calibration", "text.txt",
            "--windows", "2", "--window", "32", "--out", "conversion.safetensors"});
  }

  std::vector<std::string> latency(const std::vector<std::string>& more) const {
    std::vector<std::string> arguments = {"latency",  "--model",   "model",     "--text",   "text.txt",
                                          "--tokens", "1,8",       "--seconds", "0",        "--min-rounds",
                                          "3",        "--prefill", "16",        "--decode", "2"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
};

TEST_F(LatencyCommandTest, AConversionIsTimedAgainstItsDenseParent) {
  const json result = json::parse(output(latency({"--conversion", "conversion.safetensors", "--json"})));
  ASSERT_EQ(result["rows"].size(), 8u) << "two networks, two kernels, two numbers of tokens";
  for (const json& row : result["rows"]) {
    EXPECT_GT(row["microseconds"]["p50"], 0);
    EXPECT_NEAR(row["active_ratio"], row["network"] == "dense" ? 1 : 0.75, 1e-9);
  }
  ASSERT_EQ(result["whole_model"].size(), 2u);
  EXPECT_EQ(result["whole_model"][0]["phase"], "prefill");
  EXPECT_GT(result["whole_model"][1]["time_over_dense"]["median"], 0);
  EXPECT_GT(result["ceilings"]["read_gigabytes_per_second"], 0);
}

TEST_F(LatencyCommandTest, TheTableNamesVerdictsAndTheFigureIsWritten) {
  const std::string table = output(latency({"--conversion", "conversion.safetensors", "--figure", "figure.svg"}));
  EXPECT_THAT(table, AllOf(HasSubstr("the best dense"), HasSubstr("faster than dense for good from: converted"),
                           HasSubstr("decode(2)")));
  EXPECT_THAT(read_file(folder_ / "figure.svg"), HasSubstr("converted, 75 % active"));
}

TEST_F(LatencyCommandTest, ADenseModelHasItsOwnTimes) {
  const json result = json::parse(output(latency({"--json"})));
  EXPECT_EQ(result["rows"].size(), 4u);
  EXPECT_FALSE(result["whole_model"][0].contains("time_over_dense"));
}

TEST_F(LatencyCommandTest, WhatCannotBeTimedIsRefused) {
  EXPECT_THAT(sentence(2, {"latency"}), HasSubstr("either --model or --shape"));
  EXPECT_THAT(sentence(2, latency({"--shape", "llama-2-7b"})), HasSubstr("either --model or --shape"));
  EXPECT_THAT(sentence(2, latency({"--conversion", "conversion.safetensors", "--oracle"})), HasSubstr("oracle"));
  EXPECT_THAT(sentence(2, latency({"--kernels", "fast"})), HasSubstr("unknown kernel 'fast'"));
  EXPECT_THAT(sentence(2, {"latency", "--shape", "smollm2-135m", "--experts", "7"}),
              HasSubstr("1536 neurons are not 7 equal experts"));
}

}  // namespace
}  // namespace moebench
