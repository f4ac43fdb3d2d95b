#include "harness/pipeline/sweep_spec.h"

#include <sys/stat.h>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace moebench {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kComplete = R"(name = "quickstart"
seeds = [0, 1, 2]
[model]
path = "smollm2-135m"
dtype = "bfloat16"
[calibration]
texts = ["wiki-passages-train"]
windows = 4
window = 512
[[methods]]
name = "cmoe"
active_ratios = [0.5, 0.75]
options = { propagate = "dense", markers = 12, rate = 1e-3 }
oracle = false
[[methods]]
name = "random_split"
shapes = ["S0A6E8"]
[[tasks]]
name = "perplexity"
options = { text = "wiki-passages-test", max_windows = 5 }
)";

class SweepSpecTest : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove(path_); }

  SweepSpec read(const std::string& content, const std::vector<std::string>& settings = {}) {
    std::ofstream(path_) << content;
    return read_sweep_spec(path_.string(), settings);
  }

  // The sentence that content is refused with, without the folder.
  std::string refusal(const std::string& content, const std::vector<std::string>& settings = {}) {
    try {
      read(content, settings);
    } catch (const std::invalid_argument& error) {
      const std::string message = error.what(), folder = path_.parent_path().string() + "/";
      return message.starts_with(folder) ? message.substr(folder.size()) : message;
    }
    return "accepted";
  }

  // kComplete with one line replaced, or dropped where replacement is empty.
  std::string with_line(int number, const std::string& replacement) {
    std::istringstream lines(kComplete);
    std::string content;
    int current = 0;
    for (std::string line; std::getline(lines, line);) {
      content += (++current == number ? replacement : line) + "\n";
    }
    return content;
  }

  std::filesystem::path path_ = std::filesystem::path(testing::TempDir()) /
                                (testing::UnitTest::GetInstance()->current_test_info()->name() + std::string(".toml"));
  // As messages name it.
  std::string file_ = path_.filename().string();
};

TEST_F(SweepSpecTest, ReadsEveryField) {
  const SweepSpec spec = read(kComplete);
  EXPECT_EQ(spec.name, "quickstart");
  EXPECT_THAT(spec.seeds, ElementsAre(0, 1, 2));
  ASSERT_EQ(spec.models.size(), 1u);
  EXPECT_EQ(spec.models[0].path, "smollm2-135m");
  EXPECT_EQ(spec.models[0].dtype, "bfloat16");
  EXPECT_EQ(spec.models[0].device, "cpu");
  ASSERT_TRUE(spec.calibration);
  EXPECT_THAT(spec.calibration->texts, ElementsAre("wiki-passages-train"));
  EXPECT_EQ(spec.calibration->windows, 4);
  EXPECT_EQ(spec.calibration->window, 512);
  ASSERT_EQ(spec.methods.size(), 2u);
  EXPECT_THAT(spec.methods[0].active_ratios, ElementsAre(0.5, 0.75));
  EXPECT_EQ(spec.methods[0].options, nlohmann::json({{"propagate", "dense"}, {"markers", 12}, {"rate", 1e-3}}));
  EXPECT_EQ(spec.methods[0].oracle, false);
  EXPECT_EQ(spec.methods[0].location, path_.string() + ":10");
  EXPECT_THAT(spec.methods[1].shapes, ElementsAre("S0A6E8"));
  EXPECT_EQ(spec.methods[1].oracle, std::nullopt);
  ASSERT_EQ(spec.tasks.size(), 1u);
  EXPECT_EQ(spec.tasks[0].options, nlohmann::json({{"text", "wiki-passages-test"}, {"max_windows", 5}}));
  EXPECT_TRUE(spec.controls);
}

TEST_F(SweepSpecTest, ReadsRetrainingAndWhatAMethodHasOfItsOwn) {
  const SweepSpec spec = read(R"(name = "x"
[model]
path = "m"
[retraining]
texts = ["a", "b"]
tokens = [0, 50, 200]
recipe = "published"
settings = { learning_rate = 1e-3 }
window = 256
dtype = "bfloat16"
dense = false
[[methods]]
name = "cmoe"
active_ratios = [0.5]
adjust = { compensation = "mean" }
calibration = { texts = ["c"], windows = 3 }
retrain_tokens = [100]
recipe = "common"
seeds = [7]
[[methods]]
name = "dive"
active_ratios = [0.5]
[[tasks]]
name = "t"
)");
  ASSERT_TRUE(spec.retraining);
  EXPECT_THAT(spec.retraining->texts, ElementsAre("a", "b"));
  EXPECT_EQ(spec.retraining->dtype, "bfloat16");
  EXPECT_FALSE(spec.retraining->dense);
  EXPECT_EQ(spec.methods[0].adjust, nlohmann::json({{"compensation", "mean"}}));
  EXPECT_EQ(spec.methods[0].calibration->windows, 3);
  EXPECT_THAT(spec.methods[0].retraining->tokens, ElementsAre(100));
  EXPECT_EQ(spec.methods[0].retraining->recipe, "common");
  EXPECT_EQ(spec.methods[0].retraining->window, 256);
  EXPECT_THAT(spec.methods[0].seeds, ElementsAre(7));
  EXPECT_FALSE(spec.methods[1].calibration);
  EXPECT_THAT(spec.methods[1].retraining->tokens, ElementsAre(0, 50, 200));
  EXPECT_EQ(spec.methods[1].retraining->recipe, "published");
  EXPECT_EQ(spec.methods[1].retraining->settings, nlohmann::json({{"learning_rate", 1e-3}}));
}

TEST_F(SweepSpecTest, RetrainingThatMakesNoSenseIsRefusedByField) {
  const auto sweep = [](const std::string& retraining, const std::string& method = "") {
    return "name = \"x\"\n[model]\npath = \"m\"\n" + retraining +
           "[[methods]]\nname = \"cmoe\"\nactive_ratios = [0.5]\n" + method + "[[tasks]]\nname = \"t\"\n";
  };
  EXPECT_THAT(refusal(sweep("[retraining]\ntokens = [0]\n")), HasSubstr("retraining.texts is missing"));
  EXPECT_THAT(refusal(sweep("[retraining]\ntexts = [\"a\"]\n")), HasSubstr("retraining.tokens is missing"));
  const std::string table = "[retraining]\ntexts = [\"a\"]\n";
  EXPECT_THAT(refusal(sweep(table + "tokens = [50, 50]\n")), HasSubstr("retraining.tokens must ascend"));
  EXPECT_THAT(refusal(sweep(table + "tokens = [-1]\n")), HasSubstr("retraining.tokens must lie between 0"));
  EXPECT_THAT(refusal(sweep(table + "tokens = [1]\ndtype = \"int8\"\n")), HasSubstr("retraining.dtype"));
  EXPECT_THAT(refusal(sweep(table + "tokens = [1]\nlr = 1\n")), HasSubstr("unknown key 'retraining.lr'"));
  EXPECT_THAT(refusal(sweep("", "retrain_tokens = [5]\n")), HasSubstr("methods[0].retrain_tokens needs a table"));
  EXPECT_THAT(refusal(sweep("", "recipe = \"common\"\n")), HasSubstr("methods[0].recipe needs a table"));
}

TEST_F(SweepSpecTest, HasDefaultsForWhatIsNotGiven) {
  const SweepSpec spec = read("name = \"x\"\n[model]\npath = \"m\"\n[[tasks]]\nname = \"perplexity\"\n");
  EXPECT_THAT(spec.seeds, ElementsAre(0));
  EXPECT_EQ(spec.models[0].dtype, "float32");
  EXPECT_FALSE(spec.calibration);
  EXPECT_TRUE(spec.methods.empty());
}

TEST_F(SweepSpecTest, ReadsSeveralModels) {
  const SweepSpec spec =
      read("name = \"x\"\n[[models]]\npath = \"a\"\n[[models]]\npath = \"b\"\n[[tasks]]\nname = \"t\"\n");
  ASSERT_EQ(spec.models.size(), 2u);
  EXPECT_EQ(spec.models[1].path, "b");
}

TEST_F(SweepSpecTest, UnknownKeysAreRefusedWithASuggestion) {
  EXPECT_EQ(refusal(with_line(2, "sedes = [0]")).find(file_ + ":2: unknown key 'sedes'; did you mean 'seeds'?"), 0u);
  EXPECT_EQ(refusal(with_line(8, "windws = 4"))
                .find(file_ + ":8: unknown key 'calibration.windws'; did you mean 'calibration.windows'?"),
            0u);
  EXPECT_THAT(refusal(with_line(14, "orakle = true")), HasSubstr(file_ + ":14: unknown key 'methods[0].orakle'"));
  EXPECT_THAT(refusal(with_line(5, "type = \"x\"")), HasSubstr(file_ + ":5: unknown key 'model.type'"));
}

TEST_F(SweepSpecTest, WhatIsMissingForItIsMisspeltIsRefusedAsMisspelt) {
  EXPECT_THAT(refusal(with_line(17, "shape = [\"S0A6E8\"]")), HasSubstr(file_ + ":17: unknown key 'methods[1].shape'"));
  EXPECT_THAT(
      refusal(with_line(12, "active_ratio = [0.5]")),
      HasSubstr(file_ + ":12: unknown key 'methods[0].active_ratio'; did you mean 'methods[0].active_ratios'?"));
  EXPECT_THAT(refusal(with_line(7, "text = [\"wiki\"]")),
              HasSubstr(file_ + ":7: unknown key 'calibration.text'; did you mean 'calibration.texts'?"));
  EXPECT_THAT(refusal(with_line(3, "[modle]")), HasSubstr(file_ + ":3: unknown key 'modle'; did you mean 'model'?"));
  EXPECT_THAT(refusal(with_line(19, "nme = \"perplexity\"")), HasSubstr("did you mean 'tasks[0].name'?"));
}

TEST_F(SweepSpecTest, ErrorsNameFileLineAndField) {
  const std::vector<std::tuple<int, std::string, std::string>> cases = {
      {1, "name = 3", ":1: name must be a text in quotes"},
      {1, "name = \"a/b\"", ":1: name must be letters"},
      {2, "seeds = []", ":2: seeds must be a list of whole numbers"},
      {2, "seeds = [0.5]", ":2: seeds must be a list of whole numbers"},
      {2, "seeds = [-1]", ":2: seeds must not be negative"},
      {2, "seeds = [1, 1]", ":2: seeds has a seed twice"},
      {4, "path = \"\"", ":4: model.path must be a text"},
      {4, "", ":3: model.path is missing"},
      {5, "dtype = \"float23\"", ":5: model.dtype has an unknown value 'float23'; did you mean 'float32'?"},
      {5, "device = \"tpu\"", ":5: model.device has an unknown value 'tpu'"},
      {7, "texts = \"one\"", ":7: calibration.texts must be a list of texts"},
      {7, "", ":6: calibration.texts is missing"},
      {8, "windows = 0", ":8: calibration.windows must be a whole number from 1"},
      {8, "windows = 32769",
       ":8: calibration.windows = 32769 windows of 512 tokens from each of 1 texts are more than"},
      {9, "window = 16777216", ":8: calibration.windows = 4 windows of 16777216 tokens"},
      {9, "window = 1", ":9: calibration.window must be a whole number from 2"},
      {9, "window = 9223372036854775807", ":9: calibration.window must be a whole number from 2"},
      {11, "name = \"dense\"", ":11: methods[0].name is the dense parent"},
      {12, "active_ratios = [1.5]", ":12: methods[0].active_ratios must lie above 0"},
      {12, "active_ratios = [nan]", ":12: methods[0].active_ratios must lie above 0"},
      {12, "active_ratios = [true]", ":12: methods[0].active_ratios must be a list of numbers"},
      {12, "", ":10: methods[0].active_ratios is missing"},
      {13, "options = 3", ":13: methods[0].options must be a table"},
      {13, "options = { day = 2020-01-01 }", ":13: methods[0].options holds a date"},
      {14, "oracle = 1", ":14: methods[0].oracle must be true or false"},
      {17, "shapes = [3]", ":17: methods[1].shapes must be a list of texts"},
      {19, "", ":18: tasks[0].name is missing"},
      {20, "options = [", ":20: is not TOML"},
  };
  for (const auto& [line, replacement, message] : cases) {
    EXPECT_THAT(refusal(with_line(line, replacement)), HasSubstr(file_ + message)) << replacement;
  }
}

TEST_F(SweepSpecTest, MissingTablesAreNamed) {
  EXPECT_THAT(refusal("name = \"x\"\n[[tasks]]\nname = \"t\"\n"), HasSubstr("model is missing"));
  EXPECT_THAT(refusal("name = \"x\"\n[model]\npath = \"m\"\n"), HasSubstr("tasks is missing"));
  EXPECT_THAT(refusal("tasks = 3\nname = \"x\"\n[model]\npath = \"m\"\n"), HasSubstr("tasks must be a list of tables"));
}

TEST_F(SweepSpecTest, ByteSequencesThatAreNotUtf8AreRefused) {
  EXPECT_THAT(refusal("name = \"\xff\xfe\"\n"), HasSubstr(file_ + ":1: is not TOML"));
}

TEST_F(SweepSpecTest, AsMuchCalibrationTextAsIsAllowedIsAccepted) {
  EXPECT_EQ(read(with_line(8, "windows = 32768")).calibration->windows * 512, kMaxCalibrationTokens);
}

TEST_F(SweepSpecTest, WhatIsNoSweepFileIsRefusedBeforeItIsRead) {
  const auto refusal_of = [](const std::filesystem::path& path) {
    try {
      read_sweep_spec(path.string());
    } catch (const std::runtime_error& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_THAT(refusal_of(testing::TempDir()), HasSubstr("is not a regular file"));
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  EXPECT_THAT(refusal_of(path_), HasSubstr(file_ + ": is not a regular file"));
  std::filesystem::remove(path_);
  std::ofstream(path_) << std::string((1 << 20) + 1, '#');
  EXPECT_THAT(refusal_of(path_), HasSubstr(file_ + ": is larger than 1 MiB"));
  EXPECT_THAT(refusal_of(std::string(5000, 'x')), HasSubstr("cannot be read"));
}

TEST_F(SweepSpecTest, MissingFileIsNamed) {
  EXPECT_THROW(read_sweep_spec("/nonexistent/sweep.toml"), std::runtime_error);
  EXPECT_THROW(read_sweep_spec(testing::TempDir()), std::runtime_error) << "a folder";
}

TEST_F(SweepSpecTest, SettingsOverrideTheFile) {
  const SweepSpec spec =
      read(kComplete, {"calibration.windows=2", "model.path=other", "seeds=[7]",
                       "methods.cmoe.options.propagate=converted", "methods.1.shapes=[\"S0A4E8\"]", "controls=false"});
  EXPECT_EQ(spec.calibration->windows, 2);
  EXPECT_EQ(spec.models[0].path, "other");
  EXPECT_THAT(spec.seeds, ElementsAre(7));
  EXPECT_EQ(spec.methods[0].options["propagate"], "converted");
  EXPECT_EQ(spec.methods[0].options["markers"], 12) << "the rest stays";
  EXPECT_THAT(spec.methods[1].shapes, ElementsAre("S0A4E8"));
  EXPECT_FALSE(spec.controls);
}

TEST_F(SweepSpecTest, SettingsMakeTablesThatAreMissing) {
  const std::string content = "name = \"x\"\n[model]\npath = \"m\"\n[[tasks]]\nname = \"t\"\n";
  const SweepSpec spec = read(content, {"calibration.texts=[\"a\"]", "tasks.t.options.window=64"});
  EXPECT_THAT(spec.calibration->texts, ElementsAre("a"));
  EXPECT_EQ(spec.tasks[0].options["window"], 64);
}

TEST_F(SweepSpecTest, WrongSettingsAreNamed) {
  EXPECT_THAT(refusal(kComplete, {"calibration.windows"}), HasSubstr("--set calibration.windows: must be key=value"));
  EXPECT_THAT(refusal(kComplete, {"=3"}), HasSubstr("--set =3: must be key=value"));
  EXPECT_THAT(refusal(kComplete, {"a..b=3"}), HasSubstr("empty part"));
  EXPECT_THAT(refusal(kComplete, {"methods.dive.options.x=1"}), HasSubstr("'dive' has no place"));
  EXPECT_THAT(refusal(kComplete, {"methods.9.options.x=1"}), HasSubstr("'9' has no place"));
  EXPECT_THAT(refusal(kComplete, {"name.x=1"}), HasSubstr("'x' has no place"));
  EXPECT_THAT(refusal(kComplete, {"calibration.windows=many"}),
              HasSubstr("--set calibration.windows=many: calibration.windows must be a whole number"));
  EXPECT_THAT(refusal(kComplete, {"calibration.windws=3"}),
              HasSubstr("--set calibration.windws=3: unknown key 'calibration.windws'"));
}

}  // namespace
}  // namespace moebench
