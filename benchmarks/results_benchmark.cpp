// What a sweep and a report pay for the database: storing a run, reading all runs, a table of them.
#include <filesystem>
#include <memory>

#include <benchmark/benchmark.h>
#include <unistd.h>

#include "results/comparison.h"
#include "results/render.h"

namespace moebench {
namespace {

// A database in the folder for temporary files, gone afterwards.
class TemporaryStore {
 public:
  explicit TemporaryStore(const std::string& name)
      : path_(std::filesystem::temp_directory_path() /
              ("moebench-benchmark-" + name + "-" + std::to_string(getpid()) + ".sqlite")),
        store_(path_, ResultStore::Mode::kReadWrite) {}
  ~TemporaryStore() {
    for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(path_.string() + suffix);
  }
  ResultStore& operator*() { return store_; }

 private:
  const std::filesystem::path path_;
  ResultStore store_;
};

RunRecord numbered_run(int64_t number) {
  return {.uuid = "uuid-" + std::to_string(number),
          .cell_key = "cell-" + std::to_string(number),
          .stage = "measure",
          .status = "completed",
          .seed = number % 3,
          .started = static_cast<double>(number)};
}

void add_run_with_items(benchmark::State& state) {
  TemporaryStore store("add");
  int64_t number = 0;
  for (auto _ : state) {
    state.PauseTiming();
    RunRecord run = numbered_run(number++);
    for (int64_t item = 0; item < state.range(0); ++item) {
      run.items.push_back({"text/gptq-2048", std::to_string(item), 6000.5, 2047, std::nullopt});
    }
    state.ResumeTiming();
    (*store).add(run);
  }
}
BENCHMARK(add_run_with_items)->Arg(0)->Arg(10000)->Unit(benchmark::kMillisecond);

// 1000 runs as a sweep leaves them: layouts of three seeds, three tasks each, the load of 30 layers of 8 experts.
std::vector<RunRecord> sweep_of_1000_runs() {
  const std::vector<std::string> tasks = {"perplexity", "activated_parameters", "expert_load"};
  std::vector<RunRecord> runs;
  for (int64_t number = 0; number < 1000; ++number) {
    RunRecord run = numbered_run(number);
    const std::string task = tasks[static_cast<size_t>(number / 3 % 3)];
    run.config = {{"model", "smollm2-135m"},  {"method", "cmoe"},     {"dtype", "float32"},
                  {"router", "own"},          {"active_ratio", 0.75}, {"shape", "S3A3E" + std::to_string(number / 9)},
                  {"options", {{"top", 10}}}, {"task", task},         {"task_options", {{"window", 2048}}}};
    run.metrics = {{task + "/value", "", 20.0 + static_cast<double>(number), Direction::kLowerIsBetter, 148, 0.5}};
    for (int layer = 0; task == "expert_load" && layer < 30; ++layer) {
      for (int expert = 0; expert < 8; ++expert) {
        run.metrics.push_back(
            {"expert_load/layer-" + std::to_string(layer) + "/expert-" + std::to_string(expert), "", 0.375});
      }
    }
    runs.push_back(std::move(run));
  }
  return runs;
}

// Filled once for all benchmarks.
ResultStore& store_of_1000_runs() {
  static const auto store = [] {
    auto filled = std::make_unique<TemporaryStore>("reports");
    for (const RunRecord& run : sweep_of_1000_runs()) (**filled).add(run);
    return filled;
  }();
  return **store;
}

void read_1000_runs(benchmark::State& state) {
  const ResultStore& store = store_of_1000_runs();
  for (auto _ : state) benchmark::DoNotOptimize(store.runs());
}
BENCHMARK(read_1000_runs)->Unit(benchmark::kMillisecond);

// In the order of ReportFormat.
void report(benchmark::State& state, const ResultStore& store) {
  const auto format = static_cast<ReportFormat>(state.range(0));
  for (auto _ : state) render(store, format, {}, [](std::string_view text) { benchmark::DoNotOptimize(text); });
}

void report_1000_runs(benchmark::State& state) { report(state, store_of_1000_runs()); }
BENCHMARK(report_1000_runs)->DenseRange(0, 6)->Unit(benchmark::kMillisecond);

// A row of each, perplexity on 100 domains.
ResultStore& store_of_10000_runs() {
  static const auto store = [] {
    auto filled = std::make_unique<TemporaryStore>("long-reports");
    for (int64_t number = 0; number < 10000; ++number) {
      RunRecord run = numbered_run(number);
      run.config = {{"model", "smollm2-135m"},
                    {"method", "cmoe"},
                    {"dtype", "float32"},
                    {"router", "own"},
                    {"active_ratio", 0.75},
                    {"task", "domains"},
                    {"task_options", {{"window", 2048}}},
                    {"shape", "S3A3E" + std::to_string(number)}};
      for (int domain = 0; domain < 100; ++domain) {
        run.metrics.push_back({"domain-" + std::to_string(domain) + "/gptq-2048/ppl", "",
                               20.0 + static_cast<double>(number % 7919 + domain), Direction::kLowerIsBetter, 148,
                               0.5});
      }
      (**filled).add(run);
    }
    return filled;
  }();
  return **store;
}

void report_10000_runs_of_100_metrics(benchmark::State& state) { report(state, store_of_10000_runs()); }
BENCHMARK(report_10000_runs_of_100_metrics)->DenseRange(0, 6)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace moebench
