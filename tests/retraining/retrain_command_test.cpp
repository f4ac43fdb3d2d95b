// The command on a tiny model.
#include <filesystem>

#include "tests/commands/command_fixture.h"

namespace moebench {
namespace {

using testing::HasSubstr;

class RetrainCommandTest : public CommandFixture {
 protected:
  void SetUp() override {
    CommandFixture::SetUp();
    output({"convert", "--model", "model", "--method", "random_split", "--shape", "S0A2E8", "--calibration", "text.txt",
            "--windows", "1", "--window", "32", "--out", "split.safetensors"});
  }

  static std::vector<std::string> with(const std::vector<std::string>& more) {
    std::vector<std::string> all = {"retrain",  "--model",  "model", "--conversion", "split.safetensors", "--text",
                                    "text.txt", "--window", "32"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  bool exists(const std::string& name) const { return std::filesystem::exists(folder_ / name); }
};

TEST_F(RetrainCommandTest, WritesAFileForEveryMarkThatOtherCommandsTake) {
  const std::string printed =
      output(with({"--tokens", "128,256", "--set", "tokens_a_step=64", "--out", "out.safetensors"}));
  EXPECT_THAT(printed, testing::AllOf(HasSubstr("loss"), HasSubstr("256 tokens")));
  EXPECT_TRUE(exists("out.safetensors"));
  EXPECT_TRUE(exists("out-128.safetensors"));
  EXPECT_FALSE(exists("out.safetensors.state"));
  EXPECT_EQ(run({"generate", "--model", "model", "--conversion", "out.safetensors", "--prompt", "The"}).exit_code, 0);
  output({"retrain", "--model", "model", "--conversion", "out.safetensors", "--text", "text.txt", "--window", "32",
          "--tokens", "64", "--out", "again.safetensors"});
}

TEST_F(RetrainCommandTest, ReportsTheCurveToMachines) {
  const auto report = nlohmann::json::parse(
      output(with({"--tokens", "128", "--recipe", "common_warm_up", "--set", "router.token_share=0.5", "--set",
                   "experts.token_share=0.5", "--set", "tokens_a_step=64", "--json", "--out", "out.safetensors"})));
  ASSERT_EQ(report["curve"].size(), 2U);
  EXPECT_EQ(report["curve"][0]["stage"], "router");
  EXPECT_EQ(report["curve"][1]["stage"], "experts");
}

TEST_F(RetrainCommandTest, ConversionOfOtherWeightsIsRefused) {
  write_tiny_checkpoint(folder_ / "other", {.seed = 2});
  const std::string said = sentence(2, {"retrain", "--model", "other", "--conversion", "split.safetensors", "--text",
                                        "text.txt", "--tokens", "64", "--out", "out.safetensors"});
  EXPECT_THAT(said, testing::AllOf(HasSubstr("split.safetensors"), HasSubstr("weights")));
}

TEST_F(RetrainCommandTest, WrongRequestsAreOneSentence) {
  const auto refused = [&](const std::vector<std::string>& arguments, const std::string& reason) {
    std::vector<std::string> all = with(arguments);
    if (std::find(all.begin(), all.end(), "--out") == all.end()) all.insert(all.end(), {"--out", "out.safetensors"});
    EXPECT_THAT(sentence(2, all), HasSubstr(reason));
    EXPECT_FALSE(exists("out.safetensors"));
  };
  refused({"--tokens", "64", "--recipe", "comon"}, "common");
  refused({"--tokens", "64", "--recipe", "published"}, "common");
  refused({"--tokens", "64", "--set", "learning_rat=1"}, "learning_rate");
  refused({"--tokens", "64,32"}, "ascend");
  refused({"--tokens", "64", "--out", "split.safetensors"}, "is the input");
  refused({"--tokens", "64", "--set", "experts=frozen", "--set", "router=false", "--set", "norms=false"},
          "trains nothing");
}

TEST_F(RetrainCommandTest, DivergenceIsAnErrorThatNamesTheStep) {
  EXPECT_THAT(run(with({"--tokens", "256", "--set", "learning_rate=1e30", "--set", "tokens_a_step=64", "--out",
                        "out.safetensors"}))
                  .errors,
              testing::AllOf(HasSubstr("step"), HasSubstr("learning_rate")));
  EXPECT_FALSE(exists("out.safetensors"));
}

}  // namespace
}  // namespace moebench
