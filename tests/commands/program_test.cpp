#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/run_program.h"

namespace moebench {
namespace {

using testing::HasSubstr;

class ProgramTest : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  ProgramResult run(const std::vector<std::string>& arguments) { return run_program(folder_, arguments); }

  std::filesystem::path folder_ =
      std::filesystem::path(testing::TempDir()) / testing::UnitTest::GetInstance()->current_test_info()->name();
};

TEST_F(ProgramTest, HelpGoesToStdoutAndSucceeds) {
  const ProgramResult result = run({"--help"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.output, HasSubstr("--threads"));
  EXPECT_EQ(result.errors, "");
}

TEST_F(ProgramTest, VersionNamesTheProgram) {
  const ProgramResult result = run({"--version"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.output, HasSubstr("moebench 0."));
}

TEST_F(ProgramTest, UnknownCommandIsAUsageError) {
  const ProgramResult result = run({"rnu"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.output, "");
  EXPECT_THAT(result.errors, HasSubstr("unknown command 'rnu'"));
}

TEST_F(ProgramTest, AMisspeltOptionIsRefusedWithASuggestion) {
  for (const auto& [arguments, expected] : std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{"run", "a.toml", "--job", "2"}, "unknown option '--job'; did you mean '--jobs'?"},
           {{"nightly", "a.toml", "--min_slowdown=5"}, "did you mean '--min-slowdown'?"},
           {{"db", "check", "--bd", "a.sqlite"}, "did you mean '--db'?"}}) {
    const ProgramResult result = run(arguments);
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_THAT(result.errors, HasSubstr(expected));
  }
  EXPECT_THAT(run({"db", "check", "--bd", "a.sqlite"}).errors, HasSubstr("see moebench db check --help"));
}

TEST_F(ProgramTest, NoCommandIsAUsageError) { EXPECT_EQ(run({}).exit_code, 2); }

TEST_F(ProgramTest, AFullDiskUnderTheOutputIsWorthAnotherTry) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no /dev/full on this system";
  std::filesystem::create_symlink("/dev/full", folder_ / "stdout.txt");
  int status = 0;
  waitpid(start_program(folder_, {"tasks"}), &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 75);
}

TEST_F(ProgramTest, ThreadCountMustBePositive) {
  const ProgramResult result = run({"--threads", "0"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.errors, HasSubstr("--threads"));
}

TEST_F(ProgramTest, MoreThreadsThanCoresAreRefused) {
  const std::string cores = std::to_string(std::thread::hardware_concurrency());
  EXPECT_EQ(run({"--threads", cores, "tasks"}).exit_code, 0);
  const ProgramResult result = run({"--threads", "4096", "tasks"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.errors, HasSubstr("--threads 4096: there are " + cores + " cores here"));
}

}  // namespace
}  // namespace moebench
