// moebench slurm on a Slurm of one node, which this starts where Debian's slurm-wlm and munge are installed.
#include <unistd.h>
#include <cstdlib>

#include "tests/pipeline/measured_values.h"
#include "tests/pipeline/sweep_fixture.h"
#include "tests/run_program.h"

namespace moebench {
namespace {

using testing::HasSubstr;

// In the current folder; the arguments are two free ports. A requeued job waits cred_expire seconds, 5 at least.
constexpr const char* kStart = R"sh(#!/bin/bash
set -eu
dir=$PWD
dd if=/dev/urandom of=munge.key bs=128 count=1 2> /dev/null
chmod 400 munge.key
munged --force --key-file="$dir/munge.key" --socket="$dir/munge.socket" --pid-file="$dir/munged.pid" \
  --log-file="$dir/munged.log" --seed-file="$dir/munged.seed"
cat > slurm.conf <<END
ClusterName=test
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=$1
SlurmdPort=$2
SlurmUser=root
SlurmdUser=root
AuthInfo=socket=$dir/munge.socket,cred_expire=5
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
MpiDefault=none
MaxArraySize=3
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.log
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
NodeName=$(hostname -s) NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES State=UP
END
mkdir -p state spool
slurmctld
slurmd
for try in $(seq 100); do
  [ "$(sinfo -h -o %T 2> /dev/null)" = idle ] && exec timeout 60 srun -n 1 true
  sleep 0.2
done
tail -n 1 slurmctld.log
exit 1
)sh";

class SlurmClusterTest : public SweepFixture {
 protected:
  void SetUp() override {
    SweepFixture::SetUp();
    if (std::system("command -v slurmctld slurmd munged sbatch > /dev/null 2>&1") != 0) {
      GTEST_SKIP() << "no Slurm here (Debian: slurm-wlm munge)";
    }
    if (geteuid() != 0) GTEST_SKIP() << "only root starts a Slurm";
    setenv("SLURM_CONF", (folder_ / "slurm.conf").c_str(), 1);
    setenv("TMPDIR", (folder_ / "scratch").c_str(), 1);
    std::filesystem::create_directory(folder_ / "scratch");
    folder_.write("start.sh", kStart);
    const int port = 20000 + 2 * (getpid() % 10000);
    started_ = true;
    if (shell("bash start.sh " + std::to_string(port) + " " + std::to_string(port + 1) + " > start.log 2>&1") != 0) {
      GTEST_SKIP() << "Slurm does not start here: " << content("start.log");
    }
  }

  void TearDown() override {
    if (!started_) return;
    shell("scontrol shutdown > /dev/null 2>&1; sleep 1; for f in *.pid; do kill $(cat $f); done 2> /dev/null");
  }

  int shell(const std::string& command) const {
    return std::system(("cd '" + folder_.path().string() + "' && { " + command + "; }").c_str());
  }

  std::string content(const std::string& file) const {
    std::ifstream stream(folder_ / file);
    return {std::istreambuf_iterator<char>(stream), {}};
  }

  std::string output_of(const std::string& command) const {
    shell(command + " > output.txt 2>&1");
    return content("output.txt");
  }

  // Whether no job is left, after five minutes at most.
  bool wait_for_jobs() const {
    return shell("for try in $(seq 1500); do [ -z \"$(squeue -h)\" ] && exit 0; sleep 0.2; done; exit 1") == 0;
  }

  bool started_ = false;
};

TEST_F(SlurmClusterTest, ArraysAndTheirMergeAreTheSweep) {
  ASSERT_EQ(run_program(folder_.path(), {"run", "tiny.toml", "--db", "serial/tiny.sqlite"}).exit_code, 0);
  const ProgramResult submitted =
      run_program(folder_.path(), {"slurm", "tiny.toml", "--out", "out", "--pack", "1", "--time", "5", "--submit"});
  ASSERT_EQ(submitted.exit_code, 0) << submitted.errors;
  EXPECT_THAT(submitted.output, HasSubstr("MOEBENCH_TASK_OFFSET=3 --array=0-")) << "arrays of three tasks at most";
  ASSERT_TRUE(wait_for_jobs()) << output_of("squeue");
  EXPECT_EQ(measured_values(folder_ / "tiny.sqlite"), measured_values(folder_ / "serial/tiny.sqlite"))
      << output_of("cat out/logs/*");
}

TEST_F(SlurmClusterTest, ATaskNearItsLimitKeepsWhatItHasAndIsQueuedAgain) {
  write_sweep("[[methods]]\nname = \"cmoe\"\nshapes = [\"S3A3E8\"]\noracle = false\n",
              "[retraining]\ntexts = [\"" + (folder_ / "train.txt").string() +
                  "\"]\nwindow = 32\ndense = false\ntokens = [64, 16384]\nsettings = { tokens_a_step = 32 }\n");
  const std::vector<std::string> settings = {"--set", "controls=false", "--set", "seeds=[0]"};
  const auto run = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), settings.begin(), settings.end());
    return run_program(folder_.path(), arguments);
  };
  const ProgramResult serial = run({"run", "tiny.toml", "--db", "serial/tiny.sqlite"});
  ASSERT_EQ(serial.exit_code, 0) << serial.errors;
  ASSERT_EQ(run({"slurm", "tiny.toml", "--out", "out", "--time", "5", "--submit"}).exit_code, 0);
  // What Slurm sends before the limit, while a task retrains.
  ASSERT_EQ(shell("for try in $(seq 1000); do [ -n \"$(find scratch -name '*.state.safetensors')\" ] && "
                  "scancel --signal=TERM --batch $(squeue -h -t R -o %A | head -n 1) 2> /dev/null && exit 0; "
                  "sleep 0.1; done; exit 1"),
            0)
      << output_of("squeue; cat out/logs/*");
  ASSERT_TRUE(wait_for_jobs()) << output_of("squeue");
  EXPECT_THAT(output_of("scontrol show job"), HasSubstr("Restarts=1"));
  EXPECT_EQ(measured_values(folder_ / "tiny.sqlite"), measured_values(folder_ / "serial/tiny.sqlite"))
      << output_of("cat out/logs/*");
}

}  // namespace
}  // namespace moebench
