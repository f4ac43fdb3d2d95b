// moebench slurm: a sweep as a job array of a cluster.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "harness/atomic_file.h"
#include "harness/commands/commands.h"
#include "harness/commands/sweep_arguments.h"
#include "harness/pipeline/slurm_array.h"
#include "harness/shell_quote.h"

namespace moebench {
namespace {

namespace fs = std::filesystem;

struct SlurmArguments {
  SweepArguments sweep;
  SlurmOptions slurm;
  std::string out = "slurm";
  int64_t pack = 4, max_array_size = 0;
  bool submits = false;
};

// What a shell command prints; nothing if it fails.
std::optional<std::string> output_of(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return std::nullopt;
  std::string text(1 << 16, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), pipe));
  if (pclose(pipe) != 0) return std::nullopt;
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

// Indices end below it.
int64_t max_array_size() {
  constexpr int64_t kSlurmsDefault = 1001;
  const auto found = output_of("scontrol show config 2>/dev/null | sed -n 's/^MaxArraySize *= *//p'");
  if (!found || found->empty()) return kSlurmsDefault;
  return std::max<int64_t>(1, std::strtoll(found->c_str(), nullptr, 10));
}

void write(const fs::path& path, const std::string& content) {
  AtomicFile file(path);
  file.write(content);
  file.commit();
}

std::string sweep_command(const SweepArguments& arguments) {
  std::string command = "run " + shell_quoted(fs::absolute(arguments.sweep_file).string());
  for (const std::string& setting : arguments.settings) command += " --set " + shell_quoted(setting);
  if (!arguments.data_folder.empty())
    command += " --data " + shell_quoted(fs::absolute(arguments.data_folder).string());
  return command;
}

void write_tasks(const fs::path& out, const std::string& sweep, const std::vector<SlurmTask>& tasks) {
  for (const char* folder : {"tasks", "shards", "partial", "logs"}) fs::create_directories(out / folder);
  nlohmann::ordered_json plan = {{"sweep", sweep}, {"tasks", nlohmann::json::array()}};
  for (size_t task = 0; task < tasks.size(); ++task) {
    std::string keys;
    for (const std::string& key : tasks[task].keys) keys += key + "\n";
    write(out / "tasks" / (std::to_string(task) + ".cells"), keys);
    plan["tasks"].push_back({{"task", task}, {"cells", tasks[task].keys.size()}, {"labels", tasks[task].labels}});
  }
  write(out / "plan.json", plan.dump(1) + "\n");
}

// The number of the job that sbatch accepted.
std::string submit(const std::string& command) {
  const auto job = output_of(command);
  if (!job || job->empty()) throw std::runtime_error("sbatch refused; by hand: " + command);
  return job->substr(0, job->find(';'));
}

int write_array(SlurmArguments arguments) {
  const SweepSpec spec = read_sweep(arguments.sweep);
  const fs::path database = database_path(arguments.sweep, spec);
  const RecordedCells recorded = read_recorded(database);
  const SweepPlan plan = plan_sweep(spec);
  const std::vector<SlurmTask> tasks = slurm_tasks(plan, recorded, ArtifactFolder(database), arguments.pack);
  if (tasks.empty()) {
    fmt::print("nothing is missing in {}\n", database.string());
    return 0;
  }
  SlurmOptions& options = arguments.slurm;
  options.out = fs::absolute(arguments.out);
  if (fs::exists(options.out / "plan.json")) {
    throw std::invalid_argument("--out " + arguments.out +
                                ": holds a job array already; merge and remove it, or choose another folder");
  }
  options.database = fs::absolute(database);
  options.program = fs::read_symlink("/proc/self/exe").string();
  options.sweep_command = sweep_command(arguments.sweep);
  options.working_folder = fs::current_path().string();
  write_tasks(options.out, arguments.sweep.sweep_file, tasks);
  const fs::path array = options.out / "array.sbatch", merge = options.out / "merge.sbatch";
  write(array, array_script(options, spec.name));
  write(merge, merge_script(options, spec.name));

  const int64_t most = arguments.max_array_size > 0 ? arguments.max_array_size : max_array_size();
  std::string jobs;
  fmt::print("{} tasks in {}; each has a log in {}\n", tasks.size(), options.out.string(),
             (options.out / "logs").string());
  for (const std::string& part : sbatch_arguments(options, static_cast<int64_t>(tasks.size()), most)) {
    const std::string command = "sbatch --parsable " + part + " " + shell_quoted(array.string());
    fmt::print("{}\n", command);
    if (arguments.submits) jobs += ":" + submit(command);
  }
  const std::string last = fmt::format("sbatch --parsable --dependency=afterany{} {}", jobs.empty() ? ":JOBS" : jobs,
                                       shell_quoted(merge.string()));
  fmt::print("{}\n", last);
  if (arguments.submits) fmt::print("submitted as {}; merged by {}\n", jobs.substr(1), submit(last));
  return 0;
}

}  // namespace

std::function<int()> define_slurm(CLI::App& command) {
  auto arguments = std::make_shared<SlurmArguments>();
  add_sweep_arguments(command, arguments->sweep);
  SlurmOptions& slurm = arguments->slurm;
  command
      .add_option("--out", arguments->out, "folder for scripts, logs and shards, on a file system that all nodes see")
      ->capture_default_str();
  command.add_option("--pack", arguments->pack, "conversions of one seed in a task, with all that is made of them")
      ->check(CLI::Range(int64_t{1}, int64_t{1'000'000}))
      ->capture_default_str();
  command.add_option("--max-parallel", slurm.max_parallel, "tasks at a time")
      ->check(CLI::Range(int64_t{1}, int64_t{1'000'000}))
      ->capture_default_str();
  command.add_option("--time", slurm.time_limit, "limit of a task, as sbatch has it")->capture_default_str();
  command
      .add_option("--signal", slurm.signal_seconds,
                  "seconds before the limit at which a task keeps what it has and is queued again")
      ->check(CLI::Range(int64_t{1}, int64_t{65535}))
      ->capture_default_str();
  command.add_option("--cpus-per-task", slurm.cpus_per_task, "cores of a task (default: the cluster's)")
      ->check(CLI::Range(int64_t{1}, int64_t{4096}));
  command.add_option("--sbatch", slurm.directives, "a further line for #SBATCH: --sbatch=--gres=gpu:1")
      ->allow_extra_args(false);
  command.add_option("--max-array-size", arguments->max_array_size, "tasks of one array (default: as scontrol says)")
      ->check(CLI::Range(int64_t{1}, int64_t{4'000'001}));
  command.add_flag("--submit", arguments->submits, "also hand it to sbatch, with the merge behind it");
  command.footer(
      "Each task works on a database on local disk, a shard, and renames it into OUT/shards when it is done. Before "
      "its\n"
      "time limit it keeps what it has in OUT/partial and queues itself again. The merge may run at any time and "
      "again.\n\n"
      "  moebench slurm sweeps/methods.toml --out /shared/methods --time 2:00:00 --sbatch=--partition=cpu --submit");
  return [arguments] { return write_array(*arguments); };
}

}  // namespace moebench
