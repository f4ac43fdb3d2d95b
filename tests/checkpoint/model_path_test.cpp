#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/checkpoint/checkpoint.h"
#include "tests/fixtures/temporary_folder.h"

namespace moebench {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class ModelPathTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* variable : {"MOEBENCH_CACHE", "XDG_CACHE_HOME", "HOME"}) {
      const char* value = std::getenv(variable);
      before_.emplace_back(variable, value == nullptr ? std::nullopt : std::optional<std::string>(value));
    }
    setenv("MOEBENCH_CACHE", folder_.path().c_str(), 1);
  }
  void TearDown() override {
    for (const auto& [variable, value] : before_) {
      value ? setenv(variable.c_str(), value->c_str(), 1) : unsetenv(variable.c_str());
    }
  }

  std::filesystem::path write(const std::string& name) const {
    std::filesystem::create_directories((folder_ / name).parent_path());
    return folder_.write(name, "x");
  }
  static std::string refusal(const std::string& model) {
    try {
      return resolve_model_path(model).string();
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
  }

  TemporaryFolder folder_;
  std::vector<std::pair<std::string, std::optional<std::string>>> before_;
};

TEST_F(ModelPathTest, PathsAreTakenAsTheyAre) {
  const auto file = write("some.gguf");
  EXPECT_EQ(resolve_model_path(file.string()), file);
}

TEST_F(ModelPathTest, NameFindsTheModelInTheCache) {
  const auto gguf = write("models/quick/Quick.Q4_1.gguf");
  EXPECT_EQ(resolve_model_path("quick"), gguf);
  write("models/hf/config.json");
  EXPECT_EQ(resolve_model_path("hf"), folder_ / "models/hf");
  const auto first = write("models/split/m-00001-of-00002.gguf");
  write("models/split/m-00002-of-00002.gguf");
  EXPECT_EQ(resolve_model_path("split"), first);
}

TEST_F(ModelPathTest, CacheIsWhereTheEnvironmentSays) {
  unsetenv("MOEBENCH_CACHE");
  setenv("XDG_CACHE_HOME", (folder_ / "xdg").c_str(), 1);
  const auto in_xdg = write("xdg/moebench/models/m/m.gguf");
  EXPECT_EQ(resolve_model_path("m"), in_xdg);
  setenv("XDG_CACHE_HOME", "", 1);
  setenv("HOME", (folder_ / "home").c_str(), 1);
  const auto in_home = write("home/.cache/moebench/models/m/m.gguf");
  EXPECT_EQ(resolve_model_path("m"), in_home);
}

TEST_F(ModelPathTest, UnknownNameSaysHowToFetch) {
  EXPECT_THAT(refusal("smollm3"), AllOf(HasSubstr("model 'smollm3'"), HasSubstr("run scripts/fetch smollm3")));
  EXPECT_THAT(refusal("./absent/model"), AllOf(HasSubstr("no such path"), HasSubstr("scripts/fetch knows")));
  EXPECT_THAT(refusal(""), HasSubstr("no such path"));
  EXPECT_THAT(refusal(".."), testing::Not(HasSubstr("models")));
}

TEST_F(ModelPathTest, AmbiguousOrEmptyCacheFolderIsSaid) {
  std::filesystem::create_directories(folder_ / "models/empty");
  EXPECT_THAT(refusal("empty"), HasSubstr("holds 0 .gguf files and no config.json"));
  write("models/two/a.gguf");
  write("models/two/b.gguf");
  EXPECT_THAT(refusal("two"), HasSubstr("give the path of one of them"));
}

}  // namespace
}  // namespace moebench
