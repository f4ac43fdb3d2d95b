// What a sweep costs before anything is computed: reading and planning its file.
#include <fstream>
#include <string>

#include <benchmark/benchmark.h>

#include "harness/pipeline/sweep_plan.h"
#include "tests/fixtures/temporary_folder.h"
#include "tests/fixtures/tiny_checkpoint.h"

namespace moebench {
namespace {

std::string numbers_up_to(int64_t last) {
  std::string list = "[";
  for (int64_t number = 1; number <= last; ++number) list += std::to_string(number) + ", ";
  return list + "]";
}

// Each conversion has two measurements, by its own and by the oracle router; twenty options, so many seeds.
std::string sweep_file(const TemporaryFolder& folder, int64_t num_cells) {
  constexpr int64_t kNumOptions = 20;
  return "name = \"many\"\ncontrols = true\nseeds = " + numbers_up_to(num_cells / 3 / kNumOptions) + "\n" +
         "[model]\npath = \"" + (folder / "model").string() + "\"\n" +  //
         "[calibration]\ntexts = [\"" + (folder / "text.txt").string() + "\"]\nwindows = 1\nwindow = 16\n" +
         "[[methods]]\nname = \"cmoe\"\nshapes = [\"S3A3E8\"]\nmatrix = { top_activations = " +
         numbers_up_to(kNumOptions) + " }\n" +  //
         "[[tasks]]\nname = \"activated_parameters\"\noptions = { text = \"" + (folder / "text.txt").string() +
         "\", window = 16 }\n";
}

void plan_sweep_of_cells(benchmark::State& state) {
  const TemporaryFolder folder;
  write_tiny_checkpoint(folder / "model");
  std::string text;
  for (int line = 0; line < 200; ++line)
    text += "Nothing in the world is as soft as water " + std::to_string(line) + "\n";
  folder.write("text.txt", text);
  const std::string file = folder.write("many.toml", sweep_file(folder, state.range(0))).string();
  size_t num_cells = 0;
  for (auto _ : state) {
    const SweepPlan plan = plan_sweep(read_sweep_spec(file));
    num_cells = plan.models.front().conversions.size() + plan.models.front().measurements.size();
  }
  state.counters["cells"] = static_cast<double>(num_cells);
}
BENCHMARK(plan_sweep_of_cells)->Arg(1000)->Arg(100000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace moebench
