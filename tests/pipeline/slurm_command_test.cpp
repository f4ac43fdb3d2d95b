// moebench slurm: scripts that a cluster runs; here a stand-in for sbatch runs every task at once.
#include <sys/stat.h>
#include <cstdlib>

#include "tests/pipeline/measured_values.h"
#include "tests/pipeline/sweep_fixture.h"
#include "tests/run_program.h"

namespace moebench {
namespace {

using testing::HasSubstr;

// Every task of the array, one after the other, then prints a job number. What it was called with goes into a file.
constexpr const char* kSbatch = R"(#!/bin/bash
echo "$@" >> "$FAKE_SLURM/calls"
for argument in "$@"; do
  case $argument in
    --array=*) range=${argument#--array=}; range=${range%%%*} ;;
    --export=ALL,*) export "${argument#--export=ALL,}" ;;
    *.sbatch) script=$argument ;;
  esac
done
echo $(wc -l < "$FAKE_SLURM/calls")
if [ -n "${range:-}" ]; then
  for index in $(seq ${range%-*} ${range#*-}); do
    SLURM_ARRAY_JOB_ID=1 SLURM_ARRAY_TASK_ID=$index bash "$script" >> "$FAKE_SLURM/log" 2>&1
  done
else
  bash "$script" >> "$FAKE_SLURM/log" 2>&1
fi
)";

class SlurmCommandTest : public SweepFixture {
 protected:
  void SetUp() override {
    SweepFixture::SetUp();
    setenv("PATH", (folder_.path().string() + ":" + std::getenv("PATH")).c_str(), 1);
    setenv("FAKE_SLURM", folder_.path().c_str(), 1);
    install("sbatch", kSbatch);
    install("scontrol", "#!/bin/bash\necho \"$@\" >> \"$FAKE_SLURM/scontrol\"\necho 'MaxArraySize = 2'\n");
  }

  void install(const std::string& name, const std::string& script) const {
    folder_.write(name, script);
    chmod((folder_ / name).c_str(), 0755);
  }

  ProgramResult slurm(std::vector<std::string> more, const std::string& pack = "1") const {
    std::vector<std::string> arguments = {"slurm", "tiny.toml", "--out", "out", "--pack", pack};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_program(folder_.path(), arguments);
  }

  std::string content(const std::string& file) const {
    std::ifstream stream(folder_ / file);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
};

TEST_F(SlurmCommandTest, WritesScriptsAndSaysHowToSubmitThem) {
  const ProgramResult result = slurm({"--time", "1:00:00", "--sbatch=--partition=cpu", "--set", "seeds=[0]"});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  // The dense parent, two methods and their controls: five tasks, two in an array at most.
  EXPECT_THAT(result.output, HasSubstr("MOEBENCH_TASK_OFFSET=0 --array=0-1%32"));
  EXPECT_THAT(result.output, HasSubstr("MOEBENCH_TASK_OFFSET=4 --array=0-0%32"));
  EXPECT_THAT(result.output, HasSubstr("--dependency=afterany:JOBS"));
  const std::string script = content("out/array.sbatch");
  EXPECT_THAT(script, HasSubstr("#SBATCH --partition=cpu\n"));
  EXPECT_THAT(script, HasSubstr("#SBATCH --signal=B:TERM@120\n"));
  EXPECT_THAT(script, HasSubstr("--set 'seeds=[0]'"));
  EXPECT_THAT(content("out/plan.json"), HasSubstr("cmoe S3A3E8 seed 0"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "calls")) << "nothing is submitted unasked";
}

TEST_F(SlurmCommandTest, ShardsThatAreMergedAreTheSweep) {
  ASSERT_EQ(run_program(folder_.path(), {"run", "tiny.toml", "--db", "serial/tiny.sqlite"}).exit_code, 0);
  const ProgramResult result = slurm({"--submit"});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_THAT(result.output, HasSubstr("submitted as "));
  EXPECT_THAT(content("calls"), HasSubstr("--dependency=afterany:1:2:3"));
  EXPECT_EQ(measured_values(folder_ / "tiny.sqlite"), measured_values(folder_ / "serial/tiny.sqlite"))
      << content("log");
  const ProgramResult again = run_program(folder_.path(), {"run", "tiny.toml"});
  EXPECT_THAT(again.errors, HasSubstr("0 cells computed")) << "conversions were brought beside the database";
}

TEST_F(SlurmCommandTest, ATaskThatIsToldToStopLeavesWhatItHasAndIsQueuedAgain) {
  write_sweep(kMethods, "[[tasks]]\nname = \"expert_load\"\noptions = { text = \"test.txt\", window = 48 }\n");
  ASSERT_EQ(slurm({"--set", "seeds=[0]"}, /*pack=*/"100").exit_code, 0);
  // The program is told to stop when it has begun; the script says so, keeps it, and asks for another turn.
  const std::string script = (folder_ / "out/array.sbatch").string();
  setenv("SLURM_ARRAY_JOB_ID", "7", 1);
  setenv("SLURM_ARRAY_TASK_ID", "1", 1);
  const std::string stopped =
      "bash '" + script + "' > stopped.log 2>&1 & child=$!; sleep 0.3; kill -TERM $child; wait $child";
  const int status = std::system(("cd '" + folder_.path().string() + "'; " + stopped).c_str());
  const int code = WEXITSTATUS(status);
  if (code == 0) GTEST_SKIP() << "this machine was done before it was told to stop";
  EXPECT_EQ(code, 143) << content("stopped.log");
  EXPECT_THAT(content("scontrol"), HasSubstr("requeue 7_1"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "out/shards/1"));
  ASSERT_EQ(std::system(("cd '" + folder_.path().string() + "'; bash '" + script + "' > second.log 2>&1").c_str()), 0)
      << content("second.log");
  EXPECT_TRUE(std::filesystem::exists(folder_ / "out/shards/1/tiny.sqlite"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "out/partial/1"));
}

TEST_F(SlurmCommandTest, AnArrayThatStandsIsNotWrittenOver) {
  ASSERT_EQ(slurm({}).exit_code, 0);
  const ProgramResult result = slurm({});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.errors, HasSubstr("holds a job array already"));
}

TEST_F(SlurmCommandTest, CellsOfAnotherSweepAreRefused) {
  folder_.write("other.cells", "0123456789abcdef\n");
  const ProgramResult result = run_program(folder_.path(), {"run", "tiny.toml", "--only", "other.cells"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.errors, HasSubstr("names cells that the sweep does not have"));
}

}  // namespace
}  // namespace moebench
