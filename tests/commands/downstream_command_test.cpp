// eval of lm-eval's tasks: a task of the user's on a tiny model, what it prints and writes, and what is refused.
#include <filesystem>
#include <fstream>
#include <set>

#include "tests/commands/command_fixture.h"

namespace moebench {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class DownstreamCommandTest : public CommandFixture {
 protected:
  void SetUp() override {
    CommandFixture::SetUp();
    write("mine/mine.yaml",
          "task: mine\ndataset_path: json\ntest_split: test\ndataset_kwargs: {data_files: {test: test.jsonl}}\n"
          "output_type: multiple_choice\ndoc_to_text: '{{question}}?'\ndoc_to_target: label\n"
          "doc_to_choice: [\"no\", \"yes\"]\nmetadata: {version: 2}\n");
    write("mine/test.jsonl", R"({"question": "a", "label": 0})"
                             "\n"
                             R"({"question": "b", "label": 1})"
                             "\n"
                             R"({"question": "c", "label": 1})"
                             "\n");
  }

  void write(const std::string& name, const std::string& text) const { folder_.write(name, text); }

  static std::vector<std::string> eval(const std::vector<std::string>& more, const std::string& tasks = "mine") {
    std::vector<std::string> arguments = {"eval", "--model", "model", "--include-path", "mine", "--tasks", tasks};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  // Below a folder, whose name begins so.
  std::vector<fs::path> files(const std::string& folder, const std::string& beginning) const {
    std::vector<fs::path> found;
    for (const auto& entry : fs::recursive_directory_iterator(folder_.path() / folder)) {
      if (entry.path().filename().string().starts_with(beginning)) found.push_back(entry.path());
    }
    return found;
  }
};

TEST_F(DownstreamCommandTest, PrintsLmEvalsTableAndWritesItsFiles) {
  EXPECT_THAT(output(eval({"--output-path", "out", "--log-samples"})),
              AllOf(HasSubstr("moebench (pretrained=model,dtype=float32)"), HasSubstr("|mine "), HasSubstr("|acc"),
                    HasSubstr("|Stderr|")));
  ASSERT_EQ(files("out", "results_").size(), 1u);
  const json results = json::parse(std::ifstream(files("out", "results_").front()));
  EXPECT_EQ(results["n-samples"]["mine"]["effective"], 3);
  EXPECT_EQ(results["versions"]["mine"], 2);
  EXPECT_TRUE(results["moe"]["tasks"].contains("mine"));
  ASSERT_EQ(files("out", "samples_mine_").size(), 1u);
  std::ifstream samples(files("out", "samples_mine_").front());
  double correct = 0;
  int lines = 0;
  for (std::string line; std::getline(samples, line); ++lines) correct += json::parse(line)["acc"].get<double>();
  EXPECT_EQ(lines, 3);
  EXPECT_DOUBLE_EQ(results["results"]["mine"]["acc,none"].get<double>(), correct / 3);
}

TEST_F(DownstreamCommandTest, LimitShotsAndMeasurementsGoTogether) {
  const json result = json::parse(output(eval({"--limit", "2", "--num-fewshot", "1", "--json", "--set",
                                               "perplexity.text=text.txt", "--set", "perplexity.window=64"},
                                              "mine,perplexity")));
  EXPECT_EQ(result["tasks"].size(), 1u);
  EXPECT_EQ(result["lm_eval"]["n-samples"]["mine"]["effective"], 2);
  EXPECT_EQ(result["lm_eval"]["n-shot"]["mine"], 1);
  EXPECT_EQ(result["lm_eval"]["moe"]["measurements"], result["tasks"]);
}

TEST_F(DownstreamCommandTest, SaysWhichVersionsEncodingWasUsed) {
  EXPECT_THAT(output(eval({})), Not(HasSubstr("encoded as")));
  EXPECT_THAT(output(eval({"--lm-eval-compat", "0.4.2"})), HasSubstr("encoded as by lm-eval 0.4.2\n"));
  const json result = json::parse(output(eval({"--lm-eval-compat", "0.3", "--json"})));
  EXPECT_EQ(result["lm_eval"]["moe"]["lm_eval_compat"], "0.3");
  EXPECT_THAT(sentence(2, eval({"--lm-eval-compat", "0.4.8"})), HasSubstr("0.4.9.1"));
}

TEST_F(DownstreamCommandTest, AConversionsResultsTellOfItsRouting) {
  output({"convert", "--model", "model", "--method", "random_split", "--active-ratio", "0.5", "--calibration",
          "text.txt", "--windows", "2", "--window", "64", "--out", "random.safetensors"});
  write("data/wiki-passages-test.txt", sample_text());
  const json result =
      json::parse(output(eval({"--conversion", "random.safetensors", "--data", "data", "--limit", "1", "--json"})));
  EXPECT_TRUE(result["tasks"].empty());
  std::set<std::string> metrics;
  for (const json& task : result["lm_eval"]["moe"]["measurements"]) {
    for (const json& metric : task["metrics"]) metrics.insert(metric["name"].get<std::string>());
  }
  EXPECT_THAT(metrics, testing::IsSupersetOf({"activated_parameters/measured", "expert_load/entropy", "routing_overlap",
                                              "routing_overlap/chance"}));
}

TEST_F(DownstreamCommandTest, RefusesInOneSentence) {
  EXPECT_THAT(sentence(2, eval({}, "mina")), HasSubstr("did you mean"));
  EXPECT_THAT(sentence(2, {"eval", "--model", "model", "--tasks", "arc_esay"}), HasSubstr("'arc_easy'"));
  EXPECT_THAT(sentence(2, eval({"--limit", "0"})), HasSubstr("limit"));
  EXPECT_THAT(sentence(2, eval({"--log-samples"})), HasSubstr("--output-path"));
  EXPECT_THAT(sentence(2, eval({"--num-fewshot", "9"})), HasSubstr("mine"));
  write("mine/test.jsonl", "{\"question\": \"a\", \"label\": 0}\n{\"question\n");
  EXPECT_THAT(sentence(2, eval({})), HasSubstr("test.jsonl:2"));
  write("mine/test.jsonl", "{\"question\": \"a\", \"label\": 7}\n");
  EXPECT_THAT(sentence(2, eval({})), AllOf(HasSubstr("mine"), HasSubstr("7")));
  write("mine/test.jsonl", "{\"label\": 0}\n");
  EXPECT_THAT(sentence(2, eval({})), AllOf(HasSubstr("mine"), HasSubstr("question")));
  write("mine/test.jsonl", "{\"question\": \"a\", \"label\": 0}\n");
  write("taken", "a file");
  EXPECT_THAT(sentence(75, eval({"--output-path", "taken"})), HasSubstr("taken"));
}

}  // namespace
}  // namespace moebench
