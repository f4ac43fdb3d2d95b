// moebench report, as a user sees it.
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>

#include "tests/results/store_fixture.h"
#include "tests/results/synthetic_runs.h"
#include "tests/run_program.h"

namespace moebench {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class ReportCommandTest : public StoreFixture {
 protected:
  void SetUp() override {
    StoreFixture::SetUp();
    SyntheticRuns runs;
    runs.measure_perplexity(0, 25);
    runs.use("cmoe", "S3A3E8", 0.75);
    runs.measure_perplexity(0, 40);
    for (const RunRecord& run : runs.runs()) open().add(run);
  }

  std::filesystem::path folder() const { return path_.parent_path(); }

  ProgramResult report(const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"report", "--db", path_.string()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_program(folder(), arguments);
  }

  std::string content(const std::string& name) const {
    std::ifstream file(folder() / name);
    return {std::istreambuf_iterator<char>(file), {}};
  }
};

TEST_F(ReportCommandTest, WritesAPageAndItsFiguresAsFiles) {
  const ProgramResult result = report({"--format", "html", "--output", "report.html", "--figures", "figures"});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_EQ(result.output, "");
  EXPECT_THAT(content("report.html"), StartsWith("<!DOCTYPE html>\n"));
  EXPECT_THAT(content("report.html"), HasSubstr("--format html --output report.html"));
  EXPECT_THAT(content("figures/pareto-1.svg"), StartsWith("<svg "));
}

TEST_F(ReportCommandTest, APipeGetsNoColour) {
  const ProgramResult result = report({"--format", "terminal"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.output, HasSubstr("cmoe"));
  EXPECT_THAT(result.output, Not(HasSubstr("\x1b")));
}

TEST_F(ReportCommandTest, RefusalsAreASentenceAndTheDocumentedExitCode) {
  const ProgramResult unknown = report({"--format", "pdf"});
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_THAT(unknown.errors, HasSubstr("known: csv csv-wide html json latex markdown terminal"));
  EXPECT_EQ(report({"--format", "csv", "--published"}).exit_code, 2);
  std::ofstream(folder() / "file") << "in the way";
  const ProgramResult blocked = report({"--figures", "file/figures"});
  EXPECT_EQ(blocked.exit_code, 75);
  EXPECT_THAT(blocked.errors, HasSubstr("--figures file/figures: cannot be made"));
}

}  // namespace
}  // namespace moebench
