// Runs as a sweep records them, with numbers that a reader can check by hand.
#pragma once

#include <string>
#include <vector>

#include "results/result_store.h"

namespace moebench {

inline const std::string kPerplexity = "wiki/gptq-2048/ppl";

class SyntheticRuns {
 public:
  // What identifies a row; change it between calls.
  nlohmann::json about = {{"model", "tiny"}, {"method", "dense"}, {"dtype", "float32"}};

  void use(const std::string& method, const std::string& shape, double active_ratio,
           const nlohmann::json& options = nlohmann::json::object()) {
    about = {{"model", about["model"]},
             {"dtype", about["dtype"]},
             {"method", method},
             {"shape", shape},
             {"active_ratio", active_ratio},
             {"router", "own"},
             {"options", options},
             {"calibration", {{"texts", {"wiki-train"}}, {"windows", 8}, {"window", 2048}, {"tokens", 16384}}}};
  }
  void use_oracle() { about["router"] = "oracle"; }

  RunRecord& measure(int64_t seed, std::vector<Metric> metrics, const std::string& task = "perplexity",
                     const nlohmann::json& task_options = {{"window", 2048}}) {
    RunRecord& run = add("measure", seed);
    run.config["task"] = task;
    run.config["task_options"] = task_options;
    run.dataset = DatasetRecord{.name = "wiki", .content_hash = "c0", .tokenizer_hash = "70"};
    run.metrics = std::move(metrics);
    return run;
  }
  RunRecord& measure_perplexity(int64_t seed, double value) { return measure(seed, {perplexity(value)}); }

  RunRecord& convert(int64_t seed, double seconds) {
    RunRecord& run = add("convert", seed);
    run.metrics = {{"conversion/seconds", "s", seconds, Direction::kLowerIsBetter},
                   {"conversion/seconds/forward", "s", seconds - 1, Direction::kLowerIsBetter},
                   {"conversion/seconds/observe", "s", 1, Direction::kLowerIsBetter},
                   {"conversion/peak_memory", "bytes", 2.5e9, Direction::kLowerIsBetter}};
    return run;
  }

  RunRecord& retrain(int64_t seed, double seconds) {
    RunRecord& run = add("retrain", seed);
    run.metrics = {{"retraining/seconds", "s", seconds, Direction::kLowerIsBetter}};
    return run;
  }

  static Metric perplexity(double value) { return {kPerplexity, "", value, Direction::kLowerIsBetter, 5, 0.5}; }
  static RunRecord& fail(RunRecord& run, const std::string& reason) {
    run.status = "failed";
    run.error = reason;
    run.metrics.clear();
    run.dataset.reset();
    return run;
  }

  const std::vector<RunRecord>& runs() const { return runs_; }

 private:
  RunRecord& add(const std::string& stage, int64_t seed) {
    const std::string number = std::to_string(runs_.size());
    runs_.push_back({.uuid = "uuid-" + number,
                     .cell_key = "cell-" + number,
                     .stage = stage,
                     .status = "completed",
                     .seed = seed,
                     .started = static_cast<double>(runs_.size()),
                     .config = about});
    runs_.back().config["seed"] = seed;
    runs_.back().machine_class = "two cores";
    runs_.back().build = "1a2b3c";
    return runs_.back();
  }

  std::vector<RunRecord> runs_;
};

}  // namespace moebench
