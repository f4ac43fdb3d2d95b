#include "harness/retraining/stage_run.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "harness/retraining/random_seed.h"

namespace moebench {
namespace {

// Tokens whose activations are held together: 1.5 GB for SmolLM2. Twice as many are 5 % faster.
constexpr int64_t kBatchTokens = 1024;

// What a stage's random streams are for.
enum Stream : uint64_t { kStart, kSteps };

uint64_t seed_for(Stream stream, const StagePlace& place) {
  return mixed_seed(mixed_seed(place.seed, stream), static_cast<uint64_t>(place.index));
}

std::vector<ParameterGroup> parameter_groups(const TrainableModel& model, const RetrainStage& stage) {
  ParameterGroup matrices{.learning_rate = stage.learning_rate, .weight_decay = stage.weight_decay};
  ParameterGroup vectors{.learning_rate = stage.learning_rate};  // norms are never decayed
  ParameterGroup scales{.learning_rate = stage.expert_scale_learning_rate};
  for (const TrainedParameter& parameter : model.parameters()) {
    ParameterGroup& group = parameter.is_expert_scale ? scales : parameter.tensor.dim() == 1 ? vectors : matrices;
    group.parameters.push_back(parameter.tensor);
  }
  return {matrices, vectors, scales};
}

void add(const TrainableModel::Loss& batch, double share, TrainableModel::Loss& sum) {
  sum.cross_entropy += batch.cross_entropy;
  sum.balance += share * batch.balance;
  sum.visits.resize(batch.visits.size());
  for (size_t layer = 0; layer < batch.visits.size(); ++layer) {
    if (!batch.visits[layer].defined()) continue;
    at::Tensor& visits = sum.visits[layer];
    visits = visits.defined() ? visits + batch.visits[layer] : batch.visits[layer];
  }
}

nlohmann::json shares_of(const std::vector<at::Tensor>& visits) {
  nlohmann::json shares = nlohmann::json::array();
  for (const at::Tensor& layer : visits) {
    shares.push_back(nlohmann::json::array());
    if (!layer.defined()) continue;
    const at::Tensor share = layer.to(at::kDouble) / layer.sum();
    for (int64_t expert = 0; expert < share.numel(); ++expert) shares.back().push_back(share[expert].item<double>());
  }
  return shares;
}

}  // namespace

StageRun::StageRun(const Checkpoint& checkpoint, const Conversion& start, const ScheduledStage& scheduled,
                   const StagePlace& place, at::ScalarType dtype, bool activation_checkpointing,
                   const NoiseWeights& noise_weights)
    : scheduled_(scheduled),
      prefix_("stage." + std::to_string(place.index) + "."),
      seed_(seed_for(kSteps, place)),
      model_(checkpoint, start, scheduled.stage, {dtype, activation_checkpointing, seed_for(kStart, place)},
             noise_weights),
      optimizer_(parameter_groups(model_, scheduled.stage),
                 {scheduled.stage.beta1, scheduled.stage.beta2, scheduled.stage.epsilon}) {}

TrainableModel::Loss StageRun::add_gradients(const at::Tensor& windows, uint64_t step_seed) {
  const int64_t num_windows = windows.size(0), batch = std::max<int64_t>(1, kBatchTokens / windows.size(1));
  const double predicted = static_cast<double>(num_windows * (windows.size(1) - 1));
  TrainableModel::Loss sum;
  for (int64_t first = 0; first < num_windows; first += batch) {
    const at::Tensor ids = windows.narrow(0, first, std::min(batch, num_windows - first));
    const double share = static_cast<double>(ids.size(0)) / static_cast<double>(num_windows);
    add(model_.add_gradients(ids, 1 / predicted, share, mixed_seed(step_seed, static_cast<uint64_t>(first))), share,
        sum);
  }
  sum.cross_entropy /= predicted;
  return sum;
}

StageRun::Result StageRun::step(int64_t step, const at::Tensor& windows) {
  const RetrainStage& stage = scheduled_.stage;
  const TrainableModel::Loss loss = add_gradients(windows, mixed_seed(seed_, static_cast<uint64_t>(step)));
  const double norm = gradient_norm(optimizer_.parameters());
  if (!std::isfinite(loss.cross_entropy) || !std::isfinite(loss.balance) || !std::isfinite(norm)) {
    throw RetrainingDiverged("the loss or its gradient is not finite in step " + std::to_string(step + 1) +
                             " of stage '" + stage.name +
                             "'; lower its learning_rate or clip_norm, or lengthen its warm_up_share");
  }
  if (stage.clip_norm > 0) clip_gradients(optimizer_.parameters(), norm, stage.clip_norm);
  const double rate = rate_factor(stage, step, scheduled_.steps);
  optimizer_.step(rate);
  model_.step_selection_biases(loss.visits);
  return {.point = {{"stage", stage.name},
                    {"loss", loss.cross_entropy},
                    {"balance", loss.balance},
                    {"learning_rate", stage.learning_rate * rate},
                    {"gradient_norm", norm}},
          .load = shares_of(loss.visits)};
}

std::vector<TrainedParameter> StageRun::all_tensors() const {
  std::vector<TrainedParameter> all = model_.parameters();
  for (const TrainedParameter& bias : model_.selection_biases()) all.push_back(bias);
  return all;
}

void StageRun::save(std::map<std::string, at::Tensor>& tensors, bool with_optimizer) const {
  for (const TrainedParameter& parameter : all_tensors()) {
    tensors[prefix_ + parameter.name] = parameter.tensor.detach();
  }
  if (!with_optimizer) return;
  for (const auto& [name, tensor] : optimizer_.state()) tensors[prefix_ + "optimizer." + name] = tensor;
}

void StageRun::restore(const std::map<std::string, at::Tensor>& tensors, bool with_optimizer) {
  const at::NoGradGuard no_grad;
  for (const TrainedParameter& parameter : all_tensors()) {
    const auto found = tensors.find(prefix_ + parameter.name);
    if (found == tensors.end() || found->second.sizes() != parameter.tensor.sizes()) {
      throw std::runtime_error("the state of the retraining lacks '" + parameter.name + "'; delete it to start anew");
    }
    at::Tensor(parameter.tensor).copy_(found->second);
  }
  if (!with_optimizer) return;
  const std::string optimizer_prefix = prefix_ + "optimizer.";
  std::map<std::string, at::Tensor> state;
  for (const auto& [name, tensor] : tensors) {
    if (name.starts_with(optimizer_prefix)) state[name.substr(optimizer_prefix.size())] = tensor;
  }
  optimizer_.restore(state);
}

}  // namespace moebench
