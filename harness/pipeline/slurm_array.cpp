#include "harness/pipeline/slurm_array.h"

#include <algorithm>
#include <map>
#include <optional>

#include <fmt/format.h>

#include "harness/pipeline/plan_status.h"
#include "harness/shell_quote.h"

namespace moebench {
namespace {

// A group's cells are done by one task; those of a conversion, and those of the dense parent.
class Groups {
 public:
  Groups(const PlannedModel& model, const ModelStatuses& statuses) {
    for (size_t index = 0; index < model.conversions.size(); ++index) {
      const PlannedConversion& conversion = model.conversions[index];
      add(index, statuses.conversions[index], conversion.cell.label);
      seeds_[index] = conversion.seed;
    }
    for (size_t index = 0; index < model.retrainings.size(); ++index) {
      for (const SweepCellStatus& mark : statuses.retrainings[index])
        add(model.retrainings[index].conversion, mark, "");
    }
    for (size_t index = 0; index < model.measurements.size(); ++index) {
      const auto& conversion = model.measurements[index].thing.conversion;
      add(conversion, statuses.measurements[index], conversion ? "" : "dense");
    }
  }

  void pack(int64_t conversions_a_task, std::vector<SlurmTask>& tasks) const {
    std::map<uint64_t, std::pair<size_t, int64_t>> open;  // of each seed: a task, and how many conversions it has
    for (const auto& [conversion, group] : groups_) {
      if (!group.is_missing) continue;
      if (conversion) {
        const uint64_t seed = seeds_.at(*conversion);
        const auto found = open.find(seed);
        if (found != open.end() && found->second.second < conversions_a_task) {
          append(group.task, tasks[found->second.first]);
          ++found->second.second;
          continue;
        }
        open[seed] = {tasks.size(), 1};
      }
      tasks.push_back(group.task);
    }
  }

 private:
  struct Group {
    SlurmTask task;
    bool is_missing = false;
  };

  // What was done elsewhere is there again where it is needed: a shard holds all of a group.
  void add(std::optional<size_t> conversion, const SweepCellStatus& status, const std::string& label) {
    Group& group = groups_[conversion];
    group.is_missing = group.is_missing || status.state != CellState::kDone;
    group.task.keys.push_back(status.cell->key());
    const auto& labels = group.task.labels;
    if (!label.empty() && std::find(labels.begin(), labels.end(), label) == labels.end()) {
      group.task.labels.push_back(label);
    }
  }

  static void append(const SlurmTask& task, SlurmTask& target) {
    target.keys.insert(target.keys.end(), task.keys.begin(), task.keys.end());
    target.labels.insert(target.labels.end(), task.labels.begin(), task.labels.end());
  }

  std::map<std::optional<size_t>, Group> groups_;  // the dense parent's first
  std::map<size_t, uint64_t> seeds_;
};

std::string header(const SlurmOptions& options, const std::string& job_name) {
  std::string text = "#!/bin/bash\n#SBATCH --job-name=" + job_name + "\n";
  text += "#SBATCH --chdir=" + shell_quoted(options.working_folder) + "\n";
  for (const std::string& directive : options.directives) text += "#SBATCH " + directive + "\n";
  return text;
}

constexpr const char* kTaskScript = R"(
set -u
out=@OUT@
database=@NAME@
program=@PROGRAM@
task=$((${MOEBENCH_TASK_OFFSET:-0} + SLURM_ARRAY_TASK_ID))
[ -e "$out/shards/$task/$database" ] && exit 0   # queued again after it was done

# On local disk: SQLite's locks are not to be trusted on a network's.
scratch=$(mktemp -d "${SLURM_TMPDIR:-${TMPDIR:-/tmp}}/moebench.XXXXXX") || exit 75
trap 'rm -rf "$scratch"' EXIT
[ -d "$out/partial/$task" ] && cp -r "$out/partial/$task/." "$scratch"

# Seen whole or not at all.
leave() {
  rm -rf "$out/$1/.$task" && mkdir -p "$out/$1/.$task" && cp -r "$scratch/." "$out/$1/.$task" &&
    rm -rf "$out/$1/$task" && mv "$out/$1/.$task" "$out/$1/$task"
}

"$program" @SWEEP@ --only "$out/tasks/$task.cells" --db "$scratch/$database" &
child=$!
trap 'kill -TERM $child' TERM INT
wait $child
code=$?
trap - TERM INT
if kill -0 $child 2>/dev/null; then   # the signal ended the waiting, not the program
  wait $child
  code=$?
fi

case $code in
  0 | 4) leave shards && rm -rf "$out/partial/$task" ;;   # 4: some cells failed, which is a result
  75 | 130 | 143)
    [ -e "$scratch/$database" ] && leave partial
    scontrol requeue "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"
    ;;
esac
exit $code
)";

constexpr const char* kMergeScript = R"(
set -eu
out=@OUT@
database=@DATABASE@
mkdir -p "$database.artifacts"
shopt -s nullglob
shards=("$out"/shards/*/@NAME@)
[ ${#shards[@]} -gt 0 ] || { echo "no shards in $out/shards" >&2; exit 5; }
for shard in "${shards[@]}"; do
  for file in "$shard".artifacts/*.safetensors; do
    [ -e "$database.artifacts/${file##*/}" ] || cp "$file" "$database.artifacts/"
  done
done
@PROGRAM@ db merge "${shards[@]}" --into "$database"
)";

std::string filled(std::string text, const std::map<std::string, std::string>& values) {
  for (const auto& [name, value] : values) {
    for (size_t at = text.find(name); at != std::string::npos; at = text.find(name, at + value.size())) {
      text.replace(at, name.size(), value);
    }
  }
  return text;
}

}  // namespace

std::vector<SlurmTask> slurm_tasks(const SweepPlan& plan, const RecordedCells& recorded,
                                   const ArtifactFolder& artifacts, int64_t conversions_a_task) {
  std::vector<SlurmTask> tasks;
  for (const PlannedModel& model : plan.models) {
    Groups(model, model_statuses(model, recorded, artifacts)).pack(conversions_a_task, tasks);
  }
  return tasks;
}

std::string array_script(const SlurmOptions& options, const std::string& job_name) {
  std::string text = header(options, job_name);
  text += fmt::format("#SBATCH --time={}\n#SBATCH --signal=B:TERM@{}\n#SBATCH --requeue\n#SBATCH --open-mode=append\n",
                      options.time_limit, options.signal_seconds);
  if (options.cpus_per_task > 0) text += fmt::format("#SBATCH --cpus-per-task={}\n", options.cpus_per_task);
  text += "#SBATCH --output=" + shell_quoted((options.out / "logs" / "%A_%a.log").string()) + "\n";
  return text + filled(kTaskScript, {{"@OUT@", shell_quoted(options.out.string())},
                                     {"@NAME@", shell_quoted(options.database.filename().string())},
                                     {"@PROGRAM@", shell_quoted(options.program)},
                                     {"@SWEEP@", options.sweep_command}});
}

std::string merge_script(const SlurmOptions& options, const std::string& job_name) {
  const std::string text = header(options, job_name + "-merge") +
                           "#SBATCH --output=" + shell_quoted((options.out / "logs" / "merge.log").string()) + "\n";
  return text + filled(kMergeScript, {{"@OUT@", shell_quoted(options.out.string())},
                                      {"@DATABASE@", shell_quoted(options.database.string())},
                                      {"@NAME@", shell_quoted(options.database.filename().string())},
                                      {"@PROGRAM@", shell_quoted(options.program)}});
}

std::vector<std::string> sbatch_arguments(const SlurmOptions& options, int64_t num_tasks, int64_t max_array_size) {
  std::vector<std::string> arguments;
  for (int64_t first = 0; first < num_tasks; first += max_array_size) {
    const int64_t last = std::min(num_tasks - first, max_array_size) - 1;
    arguments.push_back(
        fmt::format("--export=ALL,MOEBENCH_TASK_OFFSET={} --array=0-{}%{}", first, last, options.max_parallel));
  }
  return arguments;
}

}  // namespace moebench
