// One stage of a retraining under way: model, optimizer, and the step that moves them.
#pragma once

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <nlohmann/json.hpp>

#include "harness/retraining/optimizer.h"
#include "harness/retraining/trainable_model.h"
#include "harness/retraining/training_schedule.h"

namespace moebench {

// A training whose steps lead away: it would again.
class RetrainingDiverged : public std::runtime_error {
 public:
  explicit RetrainingDiverged(const std::string& what) : std::runtime_error("retraining diverged: " + what) {}
};

struct StagePlace {
  int64_t index = 0;  // of the stage in its recipe
  uint64_t seed = 0;  // of the run
};

class StageRun {
 public:
  StageRun(const Checkpoint& checkpoint, const Conversion& start, const ScheduledStage& scheduled,
           const StagePlace& place, at::ScalarType dtype, bool activation_checkpointing,
           const NoiseWeights& noise_weights);

  const TrainableModel& model() const { return model_; }

  struct Result {
    nlohmann::json point;  // of the curve: {stage, loss, balance, learning_rate, gradient_norm}
    nlohmann::json load;   // per layer each routed expert's share of the visits
  };
  // step counts from 0; windows: [windows_a_step, window]. Throws RetrainingDiverged naming step and stage if the loss
  // or its gradient is not finite.
  Result step(int64_t step, const at::Tensor& windows);

  // The model's trained tensors and, where the stage goes on, the optimizer's; under names of their own stage.
  // They are those that the next step changes.
  void save(std::map<std::string, at::Tensor>& tensors, bool with_optimizer) const;
  // Throws std::runtime_error if they are not those of such a stage.
  void restore(const std::map<std::string, at::Tensor>& tensors, bool with_optimizer);

 private:
  TrainableModel::Loss add_gradients(const at::Tensor& windows, uint64_t step_seed);
  std::vector<TrainedParameter> all_tensors() const;

  const ScheduledStage scheduled_;
  std::string prefix_;
  uint64_t seed_;
  TrainableModel model_;
  AdamW optimizer_;
};

}  // namespace moebench
