#include "methods/layer_distillation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <stdexcept>
#include <utility>

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "harness/retraining/optimizer.h"

namespace moebench {
namespace {

// The scale has to find its place when dense mixing ends, and in a few hundred steps.
constexpr double kScaleLearningRate = 3e-2;

// Experts side by side, each output times a factor of the token's, and the way back. G experts, H neurons of all.
class ScaledExperts {
 public:
  // inputs: [T, D]; factors: [T, G].
  ScaledExperts(GatedMlpWeights weights, at::Tensor inputs, at::Tensor factors)
      : weights_(std::move(weights)),
        inputs_(std::move(inputs)),
        factors_(std::move(factors)),
        gate_(at::linear(inputs_, weights_.gate_proj)),
        up_(at::linear(inputs_, weights_.up_proj)),
        open_(at::silu(gate_)),
        activations_(open_ * up_) {}

  at::Tensor output() const { return at::linear(scaled(activations_), weights_.down_proj); }  // [T, D]

  struct Gradients {
    GatedMlpWeights weights;
    at::Tensor factors;  // [T, G]
  };

  // output_gradient: [T, D].
  Gradients backward(const at::Tensor& output_gradient) const {
    Gradients gradients;
    const at::Tensor back_TH = at::mm(output_gradient, weights_.down_proj);
    gradients.factors = by_expert(back_TH * activations_).sum(-1);
    gradients.weights.down_proj = at::mm(output_gradient.t(), scaled(activations_));
    const at::Tensor activation_gradient_TH = scaled(back_TH);
    const at::Tensor gate_gradient_TH = at::silu_backward(activation_gradient_TH * up_, gate_);
    gradients.weights.gate_proj = at::mm(gate_gradient_TH.t(), inputs_);
    gradients.weights.up_proj = at::mm((activation_gradient_TH * open_).t(), inputs_);
    return gradients;
  }

 private:
  at::Tensor by_expert(const at::Tensor& neurons_TH) const {
    return neurons_TH.view({factors_.size(0), factors_.size(1), neurons_TH.size(1) / factors_.size(1)});
  }
  at::Tensor scaled(const at::Tensor& neurons_TH) const {
    return (by_expert(neurons_TH) * factors_.unsqueeze(-1)).flatten(1);
  }

  GatedMlpWeights weights_;
  at::Tensor inputs_, factors_, gate_, up_, open_, activations_;
};

GatedMlpWeights neurons_of(const GatedMlpWeights& weights, int64_t first, int64_t count) {
  return {weights.gate_proj.narrow(0, first, count), weights.up_proj.narrow(0, first, count),
          weights.down_proj.narrow(1, first, count)};
}

// A student's forward pass: all experts as one wide FFN, or each on the tokens that chose it.
class Mixture {
 public:
  Mixture(const StudentLayer& student, const at::Tensor& inputs, int64_t top_k)
      : student_(student),
        inputs_(inputs),
        mixes_all_(top_k == student.num_experts()),
        probabilities_TE_(at::linear(inputs, student.router).softmax(-1)),
        weights_TE_(mixes_all_ ? probabilities_TE_ : chosen_weights(top_k)),
        scale_(static_cast<double>(student.num_experts()) * student.relative_scale),
        output_(at::zeros_like(inputs)) {
    const at::Tensor factors_TE = weights_TE_ * scale_;
    if (mixes_all_) {
      parts_.emplace_back(student.experts, inputs, factors_TE);
      output_ = parts_.front().output();
      return;
    }
    for (int64_t expert = 0; expert < student.num_experts(); ++expert) {
      const at::Tensor& tokens = tokens_.emplace_back(weights_TE_.select(1, expert).nonzero().squeeze(1));
      const at::Tensor factors = factors_TE.narrow(1, expert, 1).index_select(0, tokens);
      parts_.emplace_back(part_of(student.experts, expert), inputs.index_select(0, tokens), factors);
      output_.index_add_(0, tokens, parts_.back().output());
    }
  }

  const at::Tensor& output() const { return output_; }

  // Of a token's choices, the share that fell on each expert, times the mean softmax weight: 1 where both are even.
  at::Tensor switch_loss() const { return (visit_shares() * probabilities_TE_.mean(0)).sum() * student_.num_experts(); }

  // output_gradient: [T, D].
  StudentLayer backward(const at::Tensor& output_gradient, double balance) const {
    StudentLayer gradients{.experts = {at::zeros_like(student_.experts.gate_proj),
                                       at::zeros_like(student_.experts.up_proj),
                                       at::zeros_like(student_.experts.down_proj)}};
    at::Tensor factor_gradients_TE;
    if (mixes_all_) {
      ScaledExperts::Gradients all = parts_.front().backward(output_gradient);
      gradients.experts = std::move(all.weights);
      factor_gradients_TE = std::move(all.factors);
    } else {
      factor_gradients_TE = at::zeros_like(weights_TE_);
      for (int64_t expert = 0; expert < student_.num_experts(); ++expert) {
        const at::Tensor& tokens = tokens_[expert];
        if (tokens.numel() == 0) continue;
        const ScaledExperts::Gradients part = parts_[expert].backward(output_gradient.index_select(0, tokens));
        factor_gradients_TE.narrow(1, expert, 1).index_copy_(0, tokens, part.factors);
        const GatedMlpWeights into = part_of(gradients.experts, expert);
        into.gate_proj.copy_(part.weights.gate_proj);
        into.up_proj.copy_(part.weights.up_proj);
        into.down_proj.copy_(part.weights.down_proj);
      }
    }
    gradients.relative_scale =
        (weights_TE_ * factor_gradients_TE).sum().view({1}) * static_cast<double>(student_.num_experts());
    at::Tensor logit_gradients_TE = through_softmax(weights_TE_, factor_gradients_TE * scale_);
    if (balance > 0) {
      const double share = balance * static_cast<double>(student_.num_experts()) / static_cast<double>(inputs_.size(0));
      logit_gradients_TE += through_softmax(probabilities_TE_, (visit_shares() * share).expand_as(probabilities_TE_));
    }
    gradients.router = at::mm(logit_gradients_TE.t(), inputs_);
    return gradients;
  }

 private:
  GatedMlpWeights part_of(const GatedMlpWeights& weights, int64_t expert) const {
    const int64_t width = weights.gate_proj.size(0) / student_.num_experts();
    return neurons_of(weights, expert * width, width);
  }

  // The softmax over the best ones, 0 for the others.
  at::Tensor chosen_weights(int64_t top_k) const {
    const at::Tensor chosen = std::get<1>(probabilities_TE_.topk(top_k, 1));
    const at::Tensor kept = at::zeros_like(probabilities_TE_).scatter_(1, chosen, probabilities_TE_.gather(1, chosen));
    return kept / kept.sum(1, /*keepdim=*/true);
  }

  at::Tensor visit_shares() const {
    const at::Tensor visits = weights_TE_.gt(0).sum(0).to(weights_TE_.scalar_type());
    return visits / visits.sum();
  }

  // Of the logits, from that of the softmax p over them (0 where a logit takes no part).
  static at::Tensor through_softmax(const at::Tensor& p, const at::Tensor& gradient) {
    return p * (gradient - (p * gradient).sum(-1, /*keepdim=*/true));
  }

  const StudentLayer& student_;
  at::Tensor inputs_;
  bool mixes_all_;
  at::Tensor probabilities_TE_, weights_TE_, scale_, output_;
  std::vector<at::Tensor> tokens_;  // of every part, unless one part is all
  std::vector<ScaledExperts> parts_;
};

// A token whose target vanishes would outweigh all others.
at::Tensor squared_target_norms(const at::Tensor& targets) {
  const at::Tensor squares = targets.square().sum(1);
  return at::maximum(squares, squares.mean() * 1e-6 + std::numeric_limits<float>::min());
}

double mean_error(const StudentLayer& student, const LayerText& text, const DistillationOptions& options) {
  double sum = 0;
  for (int64_t first = 0; first < text.inputs.size(0); first += options.batch_tokens) {
    const int64_t count = std::min(options.batch_tokens, text.inputs.size(0) - first);
    const at::Tensor outputs = student.forward(text.inputs.narrow(0, first, count).to(at::kFloat), options.top_k);
    sum += normalised_errors(outputs, text.outputs.narrow(0, first, count)).sum().item<double>();
  }
  return sum / static_cast<double>(text.inputs.size(0));
}

AdamW optimizer_of(StudentLayer& student, const DistillationOptions& options) {
  std::vector<ParameterGroup> groups;
  const auto train = [&](at::Tensor& parameter, double learning_rate) {
    parameter = parameter.detach().contiguous().requires_grad_(true);
    groups.push_back({.parameters = {parameter}, .learning_rate = learning_rate});
  };
  for (at::Tensor* weight : {&student.experts.gate_proj, &student.experts.up_proj, &student.experts.down_proj}) {
    train(*weight, options.learning_rate * weight->square().mean().sqrt().item<double>());
  }
  train(student.router, options.router_learning_rate);
  train(student.relative_scale, kScaleLearningRate);
  return AdamW(std::move(groups));
}

void set_gradients(StudentLayer& student, const StudentLayer& gradients) {
  student.experts.gate_proj.mutable_grad() = gradients.experts.gate_proj;
  student.experts.up_proj.mutable_grad() = gradients.experts.up_proj;
  student.experts.down_proj.mutable_grad() = gradients.experts.down_proj;
  student.router.mutable_grad() = gradients.router;
  student.relative_scale.mutable_grad() = gradients.relative_scale;
}

}  // namespace

at::Tensor StudentLayer::forward(const at::Tensor& inputs, int64_t top_k) const {
  return Mixture(*this, inputs, top_k).output();
}

at::Tensor normalised_errors(const at::Tensor& outputs, const at::Tensor& targets) {
  const at::Tensor wanted = targets.to(outputs.scalar_type());
  return (outputs - wanted).square().sum(1) / squared_target_norms(wanted);
}

StudentStep loss_and_gradients(const StudentLayer& student, const LayerText& text, int64_t top_k, double balance) {
  const at::NoGradGuard no_grad;
  const at::ScalarType dtype = student.router.scalar_type();
  const at::Tensor targets = text.outputs.to(dtype);
  const Mixture mixture(student, text.inputs.to(dtype), top_k);
  const at::Tensor difference = mixture.output() - targets;
  const at::Tensor squared_norms = squared_target_norms(targets);
  const at::Tensor loss = (difference.square().sum(1) / squared_norms).mean() + balance * mixture.switch_loss();
  const double share = 2 / static_cast<double>(targets.size(0));
  return {loss.item<double>(), mixture.backward(difference * (share / squared_norms).unsqueeze(1), balance)};
}

std::vector<double> distil(StudentLayer& student, const LayerText& training, const LayerText& held_out,
                           const DistillationOptions& options, at::Generator generator) {
  const at::NoGradGuard no_grad;
  AdamW optimizer = optimizer_of(student, options);
  const int64_t num_tokens = training.inputs.size(0);
  const int64_t batches_an_epoch = (num_tokens + options.batch_tokens - 1) / options.batch_tokens;
  const int64_t num_steps = options.epochs * batches_an_epoch;
  std::vector<double> errors = {mean_error(student, held_out, options)};
  int64_t step = 0;
  for (int64_t epoch = 0; epoch < options.epochs; ++epoch) {
    const at::Tensor order =
        at::randperm(num_tokens, generator, at::TensorOptions(at::kLong)).to(training.inputs.device());
    for (const at::Tensor& tokens : order.split(options.batch_tokens)) {
      const double progress = static_cast<double>(step++) / static_cast<double>(num_steps);
      const LayerText batch{training.inputs.index_select(0, tokens), training.outputs.index_select(0, tokens)};
      const StudentStep gradients =
          loss_and_gradients(student, batch, progress < 0.5 ? student.num_experts() : options.top_k, options.balance);
      if (!std::isfinite(gradients.loss)) {
        throw std::invalid_argument("ladimo: the distillation loss is no longer a number; lower 'learning_rate'");
      }
      set_gradients(student, gradients.gradients);
      optimizer.step((1 + std::cos(std::numbers::pi * progress)) / 2);
    }
    errors.push_back(mean_error(student, held_out, options));
  }
  return errors;
}

}  // namespace moebench
