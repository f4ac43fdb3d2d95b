// eval: some tasks on one model, without a database.
#include <algorithm>
#include <chrono>
#include <memory>

#include <fmt/format.h>

#include "harness/commands/commands.h"
#include "harness/commands/data_folder.h"
#include "harness/commands/downstream.h"
#include "harness/commands/model_arguments.h"
#include "harness/commands/settings.h"
#include "harness/commands/terminal_progress.h"
#include "harness/interrupt.h"
#include "harness/task.h"

namespace moebench {
namespace {

struct EvalArguments {
  ModelArguments model;
  std::vector<std::string> tasks;
  DownstreamArguments downstream;
  std::vector<std::string> settings;
  std::string data_folder;
  bool as_json = false;
};

struct NamedTask {
  std::string name;
  nlohmann::json options;  // with every default
  std::unique_ptr<Task> task;
};

bool is_measurement(const std::string& name) {
  const std::vector<std::string> names = TaskRegistry::instance().names();
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Our own measurements stay in arguments.tasks; lm-eval's tasks, which are the rest, are put with what belongs to them.
void part_tasks(EvalArguments& arguments) {
  for (const std::string& name : arguments.tasks) {
    if (!is_measurement(name)) arguments.downstream.tasks.push_back(name);
  }
  std::erase_if(arguments.tasks, [](const std::string& name) { return !is_measurement(name); });
}

// Everything that can be refused without the model is refused before it is loaded.
std::vector<NamedTask> create_tasks(const EvalArguments& arguments) {
  const nlohmann::json settings = parse_grouped_settings(arguments.settings, "task", arguments.tasks);
  std::vector<NamedTask> tasks;
  for (const std::string& name : arguments.tasks) {
    const TaskRegistry::Entry& entry = TaskRegistry::instance().find(name);
    const nlohmann::json& options = settings.at(name);
    tasks.push_back({name, entry.resolve(options), entry.create(options)});
    tasks.back().task->data_hash();
  }
  return tasks;
}

// What the results of lm-eval's tasks on a conversion tell of its routing, on a text of its own.
std::vector<NamedTask> create_routing_tasks(const std::vector<std::string>& asked_for, int64_t num_positions) {
  const nlohmann::json options = {{"window", std::min<int64_t>(2048, num_positions)}, {"max_windows", 1}};
  std::vector<NamedTask> tasks;
  for (const char* name : {"activated_parameters", "expert_load", "routing_overlap"}) {
    if (std::find(asked_for.begin(), asked_for.end(), name) != asked_for.end()) continue;
    const TaskRegistry::Entry& entry = TaskRegistry::instance().find(name);
    tasks.push_back({name, entry.resolve(options), entry.create(options)});
    try {
      tasks.back().task->data_hash();
    } catch (const std::runtime_error& error) {
      fmt::print(stderr, "moebench: the results go without {}: {}\n", name, error.what());
      tasks.pop_back();
    }
  }
  return tasks;
}

struct TimedMeasurement : Measurement {
  double seconds = 0;
};

std::vector<TimedMeasurement> measure(const std::vector<NamedTask>& tasks, LoadedModel& loaded,
                                      SweepProgress& progress) {
  std::vector<TimedMeasurement> measurements;
  for (const NamedTask& task : tasks) {
    progress.start(task.name, task.name);
    TaskContext context{loaded.model, *loaded.tokenizer, loaded.conversion ? &*loaded.conversion : nullptr,
                        [&](double done, double total) {
                          throw_if_interrupted();
                          progress.update(done / total);
                        }};
    const auto started = std::chrono::steady_clock::now();
    Measurement measurement = task.task->measure(context);
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - started;
    measurements.push_back({std::move(measurement), elapsed.count()});
    progress.finish();
  }
  return measurements;
}

void print_table(const std::vector<TimedMeasurement>& measurements) {
  fmt::print("{:<44} {:>16} {:>12} {:>9}  {}\n", "metric", "value", "± (se)", "n", "unit");
  for (const TimedMeasurement& measurement : measurements) {
    for (const Metric& metric : measurement.metrics) {
      const std::string error = metric.standard_error ? fmt::format("{:.4g}", *metric.standard_error) : "";
      fmt::print("{:<44} {:>16.10g} {:>11} {:>9}  {}\n", metric.name, metric.value, error, metric.n, metric.unit);
    }
  }
}

nlohmann::ordered_json metric_json(const Metric& metric) {
  nlohmann::ordered_json json = {
      {"name", metric.name}, {"value", metric.value}, {"unit", metric.unit}, {"n", metric.n}};
  if (metric.standard_error) json["standard_error"] = *metric.standard_error;
  return json;
}

// As it stands under "tasks" of our own JSON, and under "moe" of lm-eval's.
nlohmann::ordered_json measured_json(const std::vector<NamedTask>& tasks,
                                     const std::vector<TimedMeasurement>& measurements) {
  nlohmann::ordered_json measured = nlohmann::ordered_json::array();
  for (size_t task = 0; task < tasks.size(); ++task) {
    nlohmann::ordered_json metrics = nlohmann::ordered_json::array();
    for (const Metric& metric : measurements[task].metrics) metrics.push_back(metric_json(metric));
    measured.push_back({{"task", tasks[task].name},
                        {"options", tasks[task].options},
                        {"seconds", measurements[task].seconds},
                        {"metrics", metrics}});
  }
  return measured;
}

int evaluate(EvalArguments arguments) {
  handle_interrupts();
  use_data_folder(arguments.data_folder);
  part_tasks(arguments);
  std::optional<Downstream> downstream;
  if (!arguments.downstream.tasks.empty()) {
    downstream.emplace(arguments.downstream, TaskRegistry::instance().names());
  }
  const std::vector<NamedTask> tasks = create_tasks(arguments);
  LoadedModel loaded = load_model(arguments.model);
  std::vector<NamedTask> routing_tasks;
  if (downstream && loaded.conversion) {
    routing_tasks = create_routing_tasks(arguments.tasks, loaded.model.config().max_position_embeddings);
  }
  SweepProgress progress = terminal_progress();
  for (const NamedTask& task : tasks) progress.expect(task.name);
  for (const NamedTask& task : routing_tasks) progress.expect(task.name);
  const std::vector<TimedMeasurement> measurements = measure(tasks, loaded, progress);
  nlohmann::ordered_json result = {{"model", arguments.model.model},
                                   {"conversion", arguments.model.conversion},
                                   {"oracle", arguments.model.use_oracle_router},
                                   {"dtype", arguments.model.dtype},
                                   {"tasks", measured_json(tasks, measurements)}};
  nlohmann::ordered_json lm_eval;
  if (downstream) {
    nlohmann::ordered_json measured = result["tasks"];
    for (nlohmann::ordered_json& each : measured_json(routing_tasks, measure(routing_tasks, loaded, progress))) {
      measured.push_back(std::move(each));
    }
    lm_eval = downstream->evaluate(loaded, arguments.model,
                                   {{"conversion", arguments.model.conversion}, {"measurements", measured}}, progress);
  }
  if (arguments.as_json) {
    if (downstream) result["lm_eval"] = lm_eval;
    fmt::print("{}\n", result.dump(2));
    return 0;
  }
  if (!tasks.empty()) print_table(measurements);
  if (downstream) fmt::print("{}", downstream->console_text(lm_eval));
  return 0;
}

}  // namespace

std::function<int()> define_eval(CLI::App& command) {
  auto arguments = std::make_shared<EvalArguments>();
  add_model_option(command, arguments->model);
  add_conversion_options(command, arguments->model);
  add_precision_options(command, arguments->model);
  command
      .add_option("--tasks", arguments->tasks,
                  "what to measure, separated by commas: measurements of moebench tasks, and tasks, groups, suites or "
                  "patterns of lm-evaluation-harness's (arc_easy, mmlu, quick, mmlu_*)")
      ->required()
      ->delimiter(',')
      ->type_name("NAME[,NAME...]");
  command.add_option("--set", arguments->settings, "an option of a task, as in perplexity.window=512; repeatable")
      ->type_name("TASK.OPTION=VALUE")
      ->allow_extra_args(false);
  DownstreamArguments& downstream = arguments->downstream;
  command
      .add_option("--num-fewshot", downstream.num_fewshot, "examples before each document (default: the task's own)")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 20));
  command.add_option("--limit", downstream.limit, "only the first so many documents of each task")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40));
  command.add_option("--max-length", downstream.max_length, "tokens that are fed at most (default: the model's)")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 30));
  command
      .add_option("--lm-eval-compat", downstream.lm_eval_compat,
                  "encode requests as this version of lm-eval: 0.3 encodes context and continuation apart; before "
                  "0.4.13 no BOS that the tokenizer adds; up to 0.4.2 EOS stands for an empty context; "
                  "0.4.13-repeated-bos also scores the BOS that 0.4.13 puts before whole texts a second time")
      ->check(CLI::IsMember(encoding_profile_names()))
      ->capture_default_str();
  command.add_option("--include-path", downstream.include_path, "a folder with task files of your own, as lm-eval's")
      ->type_name("FOLDER");
  command.add_option("--output-path", downstream.output_path, "write lm-eval's results file into this folder")
      ->type_name("FOLDER");
  command.add_flag("--log-samples", downstream.log_samples, "and its samples files, a line a document");
  add_data_option(command, arguments->data_folder);
  command.add_flag("--json", arguments->as_json, "for machines");
  command.footer(
      "Tasks of lm-evaluation-harness give the numbers of its version 0.4.13; scripts/fetch tasks fetches their "
      "data.\n\n"
      "  moebench eval --model smollm2-135m --tasks perplexity,activated_parameters --set perplexity.window=512\n"
      "  moebench eval --model smollm2-135m --tasks quick --limit 100 --output-path results --log-samples");
  return [arguments] { return evaluate(*arguments); };
}

}  // namespace moebench
