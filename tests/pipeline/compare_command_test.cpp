// moebench compare, on what a sweep with tasks of lm-eval has left.
#include "results/result_store.h"
#include "tests/pipeline/sweep_fixture.h"
#include "tests/run_program.h"
#include "tests/tasks/lm_eval_task_files.h"

namespace moebench {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

class CompareCommandTest : public SweepFixture {
 protected:
  void SetUp() override {
    SweepFixture::SetUp();
    write_lm_eval_task(folder_, "mine");
    write_sweep("[[methods]]\nname = \"cmoe\"\nshapes = [\"S3A3E8\"]\n",
                "[[tasks]]\nname = \"lm_eval\"\noptions = { tasks = \"mine\", include_path = \"lm_eval\" }\n");
    const ProgramResult swept = program({"run", "tiny.toml"});
    ASSERT_EQ(swept.exit_code, 0) << swept.errors;
    EXPECT_THAT(swept.output, HasSubstr("mine/acc"));
  }

  ProgramResult program(std::vector<std::string> arguments) const {
    arguments.insert(arguments.end(), {"--threads", "1"});
    return run_program(folder_.path(), arguments);
  }
  ProgramResult compare(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"compare", "--db", "tiny.sqlite"});
    return program(arguments);
  }

  // The items of the measurement of this method, seed and task.
  std::vector<Item> items(const std::string& method, int64_t seed, const std::string& task) const {
    const ResultStore store(folder_ / "tiny.sqlite", ResultStore::Mode::kReadOnly);
    for (const RunRecord& run : store.runs()) {
      if (run.stage == "measure" && run.config["method"] == method && run.config["task"] == task &&
          run.config["router"] == "own" && run.seed == seed)
        return store.items(run.uuid);
    }
    ADD_FAILURE() << method << " was not measured";
    return {};
  }
};

TEST_F(CompareCommandTest, ComparesTheItemsOfASweep) {
  const ProgramResult result = compare({"dense", "cmoe", "--seed", "1", "--format", "json"});
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  const json table = json::parse(result.output);
  ASSERT_EQ(table["rows"].size(), 2u);
  std::map<std::string, json> rows;
  for (const json& row : table["rows"]) rows[row["metric"]] = row;

  const auto right = [&](const std::string& method, int64_t seed) {
    double count = 0;
    for (const Item& item : items(method, seed, "lm_eval")) count += item.correct.value() ? 1 : 0;
    return count / 4;
  };
  EXPECT_EQ(rows["mine/acc"]["n"], 4);
  EXPECT_EQ(rows["mine/acc"]["base"], right("dense", 0));
  EXPECT_EQ(rows["mine/acc"]["new"], right("cmoe", 1));

  const std::vector<Item> dense = items("dense", 0, "perplexity"), cmoe = items("cmoe", 1, "perplexity");
  double difference = 0, tokens = 0;
  for (size_t window = 0; window < dense.size(); ++window) {
    difference += cmoe[window].nll - dense[window].nll;
    tokens += static_cast<double>(dense[window].tokens);
  }
  EXPECT_NEAR(rows["test/gptq-48"]["difference"].get<double>(), difference / tokens, 1e-9);
}

TEST_F(CompareCommandTest, PrintsATableOrWritesAFile) {
  EXPECT_THAT(compare({"dense", "cmoe"}).output,
              AllOf(HasSubstr("### cmoe S3A3E8 against dense"), HasSubstr("seed 0 of 0, 1"), HasSubstr("Made by")));
  EXPECT_EQ(compare({"dense", "cmoe", "--adjust", "bh", "--format", "csv", "--output", "pairs.csv"}).output, "");
  EXPECT_THAT(read_file(folder_ / "pairs.csv"), AllOf(HasSubstr("mcnemar_p"), HasSubstr(",bh,")));
}

TEST_F(CompareCommandTest, RefusesInOneSentence) {
  const auto sentence = [&](const std::vector<std::string>& arguments) {
    const ProgramResult result = compare(arguments);
    EXPECT_EQ(result.exit_code, 2) << result.errors;
    EXPECT_EQ(result.output, "");
    EXPECT_EQ(std::count(result.errors.begin(), result.errors.end(), '\n'), 1) << result.errors;
    return result.errors;
  };
  EXPECT_THAT(sentence({"dense", "nothing"}), HasSubstr("unknown measured method 'nothing'"));
  EXPECT_THAT(sentence({"dense", "cmoe", "--seed", "9"}), HasSubstr("seed 9 is not there"));
  EXPECT_THAT(sentence({"dense", "cmoe", "--adjust", "none"}), HasSubstr("known: bh holm"));
  EXPECT_THAT(sentence({"dense", "cmoe", "--format", "html"}), HasSubstr("known: csv json markdown"));
  EXPECT_THAT(sentence({"dense", "cmoe", "--output", "tiny.sqlite"}), HasSubstr("would be lost"));
}

}  // namespace
}  // namespace moebench
