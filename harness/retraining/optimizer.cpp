#include "harness/retraining/optimizer.h"

#include <array>
#include <cmath>
#include <stdexcept>
#include <utility>

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

namespace moebench {
namespace {

constexpr std::array kStateNames = {"mean", "square", "steps"};

std::string state_name(size_t slot, const char* name) { return std::to_string(slot) + "." + name; }

}  // namespace

AdamW::AdamW(std::vector<ParameterGroup> groups, AdamWOptions options) : groups_(std::move(groups)), options_(options) {
  for (size_t group = 0; group < groups_.size(); ++group) {
    for (const at::Tensor& parameter : groups_[group].parameters) {
      TORCH_CHECK(parameter.scalar_type() == at::kFloat && parameter.is_leaf() && parameter.requires_grad(),
                  "AdamW trains fp32 leaves");
      slots_.push_back({parameter, at::zeros(parameter.sizes(), parameter.options()),
                        at::zeros(parameter.sizes(), parameter.options()), at::zeros({}, parameter.options()), group});
    }
  }
}

void AdamW::step(double rate_factor) {
  const at::NoGradGuard no_grad;
  for (size_t group = 0; group < groups_.size(); ++group) {
    std::vector<at::Tensor> parameters, gradients, means, squares, steps;
    for (Slot& slot : slots_) {
      if (slot.group != group || !slot.parameter.grad().defined()) continue;
      slot.steps.add_(1);
      parameters.push_back(slot.parameter);
      gradients.push_back(slot.parameter.grad());
      means.push_back(slot.mean);
      squares.push_back(slot.square);
      steps.push_back(slot.steps);
    }
    if (parameters.empty()) continue;
    at::_fused_adamw_(parameters, gradients, means, squares, /*max_exp_avg_sqs=*/{}, steps,
                      groups_[group].learning_rate * rate_factor, options_.beta1, options_.beta2,
                      groups_[group].weight_decay, options_.epsilon, /*amsgrad=*/false, /*maximize=*/false);
  }
  for (Slot& slot : slots_) slot.parameter.mutable_grad().reset();
}

std::vector<at::Tensor> AdamW::parameters() const {
  std::vector<at::Tensor> parameters;
  for (const Slot& slot : slots_) parameters.push_back(slot.parameter);
  return parameters;
}

std::map<std::string, at::Tensor> AdamW::state() const {
  std::map<std::string, at::Tensor> state;
  for (size_t slot = 0; slot < slots_.size(); ++slot) {
    const std::array tensors = {slots_[slot].mean, slots_[slot].square, slots_[slot].steps};
    for (size_t index = 0; index < tensors.size(); ++index) {
      state[state_name(slot, kStateNames[index])] = tensors[index];
    }
  }
  return state;
}

void AdamW::restore(const std::map<std::string, at::Tensor>& state) {
  for (size_t slot = 0; slot < slots_.size(); ++slot) {
    const std::array tensors = {slots_[slot].mean, slots_[slot].square, slots_[slot].steps};
    for (size_t index = 0; index < tensors.size(); ++index) {
      const auto found = state.find(state_name(slot, kStateNames[index]));
      if (found == state.end() || found->second.sizes() != tensors[index].sizes()) {
        throw std::runtime_error("the optimizer's state is not of these parameters; delete the file to start anew");
      }
      tensors[index].copy_(found->second);
    }
  }
}

double gradient_norm(const std::vector<at::Tensor>& parameters) {
  double sum = 0;
  for (const at::Tensor& parameter : parameters) {
    if (!parameter.grad().defined()) continue;
    const double norm = at::linalg_vector_norm(parameter.grad()).item<double>();
    sum += norm * norm;
  }
  return std::sqrt(sum);
}

void clip_gradients(const std::vector<at::Tensor>& parameters, double norm, double largest) {
  if (norm <= largest) return;
  for (const at::Tensor& parameter : parameters) {
    if (parameter.grad().defined()) parameter.mutable_grad().mul_(largest / norm);
  }
}

}  // namespace moebench
