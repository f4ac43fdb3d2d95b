#include "harness/retraining/retrainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "harness/content_hash.h"
#include "harness/peak_memory.h"
#include "harness/retraining/recipe.h"
#include "harness/retraining/stage_run.h"
#include "harness/retraining/token_windows.h"
#include "harness/retraining/training_schedule.h"
#include "harness/retraining/training_state.h"

namespace moebench {
namespace {

constexpr double kSecondsBetweenStates = 120;

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

void check_request(const RetrainRequest& request) {
  const LlamaConfig& config = request.checkpoint.config();
  const at::Tensor& ids = request.ids;
  TORCH_CHECK(ids.dim() == 1 && ids.scalar_type() == at::kLong, "ids must be [num_tokens] int64");
  if (request.window < 2 || request.window > config.max_position_embeddings) {
    throw std::invalid_argument("a window of " + std::to_string(request.window) +
                                " tokens does not fit; choose 2 to the model's " +
                                std::to_string(config.max_position_embeddings) + " positions");
  }
  const auto not_ascending = [](int64_t one, int64_t next) { return one >= next; };
  if (request.marks.empty() || request.marks.front() < 1 ||
      std::adjacent_find(request.marks.begin(), request.marks.end(), not_ascending) != request.marks.end()) {
    throw std::invalid_argument("the numbers of tokens to retrain on must be positive and ascend");
  }
  if (ids.numel() > 0 && (ids.min().item<int64_t>() < 0 || ids.max().item<int64_t>() >= config.vocab_size)) {
    throw std::invalid_argument("the text has ids outside the model's vocabulary of " +
                                std::to_string(config.vocab_size) + "; was it tokenized for another model?");
  }
}

std::string text_hash(const at::Tensor& ids) {
  const at::Tensor values = ids.contiguous();
  return content_hash(std::string_view(reinterpret_cast<const char*>(values.const_data_ptr<int64_t>()),
                                       static_cast<size_t>(values.numel()) * sizeof(int64_t)));
}

nlohmann::json settings_of(const RetrainRequest& request) {
  return {{"model", request.checkpoint.content_hash()},
          {"conversion", request.conversion.metadata},
          {"recipe", recipe_to_json(request.recipe)},
          {"text_hash", text_hash(request.ids)},
          {"window", request.window},
          {"seed", request.seed},
          {"budget", request.marks.back()},
          {"dtype", c10::toString(request.dtype)}};
}

class Retraining {
 public:
  Retraining(const RetrainRequest& request, const std::function<void(int64_t, const Conversion&)>& at_mark)
      : request_(request),
        at_mark_(at_mark),
        settings_(settings_of(request)),
        stages_(schedule_recipe(request.recipe, request.conversion, request.marks.back(), request.window)),
        windows_(request.ids, request.window, request.seed) {
    for (const ScheduledStage& stage : stages_) num_steps_ += stage.steps;
    const std::optional<TrainingState> resumed = load_training_state(settings_, request.state_file);
    if (!resumed) return;
    state_ = *resumed;
    seconds_before_ = state_.seconds;
    while (next_mark_ + 1 < request.marks.size() && is_due(request.marks[next_mark_])) ++next_mark_;
  }

  void run() {
    Conversion conversion = request_.conversion;
    NoiseWeights noise_weights;
    for (int64_t index = 0; index < static_cast<int64_t>(stages_.size()); ++index) {
      StageRun stage(request_.checkpoint, conversion, stages_[index], {index, request_.seed}, request_.dtype,
                     request_.activation_checkpointing, noise_weights);
      run_stage(stage, index);
      stage.save(finished_, /*with_optimizer=*/false);
      conversion = stage.model().conversion();
      noise_weights = stage.model().noise_weights();
    }
  }

 private:
  void run_stage(StageRun& stage, int64_t index) {
    const bool is_finished = index < state_.stage, is_resumed = index == state_.stage && !state_.tensors.empty();
    if (is_finished || is_resumed) stage.restore(state_.tensors, /*with_optimizer=*/is_resumed);
    if (is_finished) return;
    if (!is_resumed) state_.step = 0;
    state_.stage = index;
    state_.tensors.clear();
    bool is_marked = hand_out(stage);  // where the last step was done, and what it led to was not stored
    while (state_.step < stages_[index].steps) {
      run_step(stage);
      is_marked = hand_out(stage);
      if (is_marked || seconds_since(last_saved_) > kSecondsBetweenStates) save(stage);
      report(stage);
    }
    if (!is_marked) check_learned(stage);
  }

  void run_step(StageRun& stage) {
    const Clock::time_point start = Clock::now();
    const int64_t windows = stages_[state_.stage].windows_a_step;
    StageRun::Result result = stage.step(state_.step, windows_.read(state_.windows, windows));
    ++state_.step;
    state_.windows += windows;
    result.point["tokens"] = tokens();
    result.point["tokens_per_second"] = static_cast<double>(windows * request_.window) / seconds_since(start);
    state_.curve.push_back(std::move(result.point));
    state_.load = std::move(result.load);
  }

  int64_t tokens() const { return state_.windows * request_.window; }

  // 0 after the last step.
  int64_t tokens_of_next_step() const {
    const bool ends_stage = state_.step == stages_[state_.stage].steps;
    const size_t stage = static_cast<size_t>(state_.stage) + (ends_stage ? 1 : 0);
    return stage < stages_.size() ? stages_[stage].windows_a_step * request_.window : 0;
  }

  // Whether a step more would be too much for it. The last mark is the end.
  bool is_due(int64_t mark) const {
    const int64_t next = tokens_of_next_step();
    return next == 0 || (mark != request_.marks.back() && state_.windows > 0 && tokens() + next > mark);
  }

  bool hand_out(const StageRun& stage) {
    const size_t first = next_mark_;
    while (next_mark_ < request_.marks.size() && is_due(request_.marks[next_mark_])) {
      if (next_mark_ == first) check_learned(stage);
      at_mark_(request_.marks[next_mark_], described(stage.model().conversion()));
      ++next_mark_;
    }
    return next_mark_ > first;
  }

  // Of a training that diverged without ever leaving the finite numbers, no conversion is handed out. What the last
  // step led to, its own loss does not say yet: its windows, eight of them, once more do.
  void check_learned(const StageRun& stage) {
    constexpr double kHardlyBetter = 0.1;  // nats
    const auto vocab_size = request_.checkpoint.config().vocab_size;
    const double guess = std::log(static_cast<double>(vocab_size)) - kHardlyBetter;
    // Of one stage: the next may route otherwise, as after dense mixing.
    const auto begin = std::find_if(state_.curve.begin(), state_.curve.end(), [&](const nlohmann::json& point) {
      return point["stage"] == state_.curve.back()["stage"];
    });
    const auto first = (*begin)["loss"].get<double>();
    const int64_t windows = std::min<int64_t>(stages_[state_.stage].windows_a_step, 8);
    const double last = stage.model().mean_cross_entropy(windows_.read(state_.windows - windows, windows));
    if (first >= guess || last < guess) return;
    throw RetrainingDiverged(
        fmt::format("the loss rose from {:.3f} to {:.3f} in {} tokens, no better than guessing among {} "
                    "tokens; lower the recipe's learning_rate or clip_norm, or lengthen its warm_up_share",
                    first, last, tokens(), vocab_size));
  }

  Conversion described(Conversion conversion) {
    note_cost();
    nlohmann::json retraining = settings_;
    retraining.erase("model");
    retraining.erase("conversion");
    retraining.update({{"tokens", tokens()},
                       {"seconds", state_.seconds},
                       {"peak_memory_bytes", state_.peak_memory_bytes},
                       {"curve", state_.curve},
                       {"load", state_.load}});
    const auto before = conversion.metadata.find("retraining");
    if (before != conversion.metadata.end()) retraining["before"] = *before;
    conversion.metadata["retraining"] = std::move(retraining);
    return conversion;
  }

  void note_cost() {
    state_.seconds = seconds_before_ + seconds_since(start_);
    state_.peak_memory_bytes = std::max(state_.peak_memory_bytes, peak_memory_bytes());
  }

  void save(const StageRun& stage) {
    if (request_.state_file.empty()) return;
    note_cost();
    state_.tensors = finished_;
    stage.save(state_.tensors, /*with_optimizer=*/true);
    save_training_state(state_, settings_, request_.state_file);
    state_.tensors.clear();
    last_saved_ = Clock::now();
  }

  void report(const StageRun& stage) {
    if (!request_.progress) return;
    const auto steps = static_cast<int64_t>(state_.curve.size());
    try {
      request_.progress({.step = steps,
                         .num_steps = num_steps_,
                         .tokens = tokens(),
                         .loss = state_.curve.back()["loss"].get<double>(),
                         .fraction = static_cast<double>(steps) / static_cast<double>(num_steps_)});
    } catch (...) {
      save(stage);
      throw;
    }
  }

  const RetrainRequest& request_;
  const std::function<void(int64_t, const Conversion&)>& at_mark_;
  const nlohmann::json settings_;
  const std::vector<ScheduledStage> stages_;
  TokenWindows windows_;
  TrainingState state_;
  std::map<std::string, at::Tensor> finished_;  // what stages before the one under way trained
  int64_t num_steps_ = 0;
  size_t next_mark_ = 0;
  const Clock::time_point start_ = Clock::now();
  Clock::time_point last_saved_ = start_;
  double seconds_before_ = 0;  // of the runs before this one
};

}  // namespace

void retrain(const RetrainRequest& request,
             const std::function<void(int64_t mark, const Conversion& conversion)>& at_mark) {
  check_request(request);
  reset_peak_memory();
  try {
    Retraining(request, at_mark).run();
  } catch (const RetrainingDiverged&) {
    std::filesystem::remove(request.state_file);  // it would go on to the same end, and be in the next recipe's way
    throw;
  }
}

}  // namespace moebench
