// AdamW (arXiv 1711.05101) on fp32 tensors whose .grad() a backward pass has filled.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

namespace moebench {

// Parameters that share a rate. Each is a leaf that requires a gradient.
struct ParameterGroup {
  std::vector<at::Tensor> parameters;
  double learning_rate = 1e-4;
  double weight_decay = 0;  // decoupled: a step takes learning_rate * weight_decay of the parameter off
};

struct AdamWOptions {
  double beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8;
};

class AdamW {
 public:
  explicit AdamW(std::vector<ParameterGroup> groups, AdamWOptions options = {});

  // One step, every rate times rate_factor (a schedule's), and the gradients are gone. A parameter without a gradient
  // stays as it is, moments included.
  void step(double rate_factor = 1);

  std::vector<at::Tensor> parameters() const;  // of all groups, in their order

  // Moments and step counts, for resuming. state's tensors are the optimizer's own, which the next step changes;
  // restore copies. It throws std::runtime_error if state is not of such parameters.
  std::map<std::string, at::Tensor> state() const;
  void restore(const std::map<std::string, at::Tensor>& state);

 private:
  struct Slot {
    at::Tensor parameter, mean, square, steps;  // steps: a scalar, as the library's kernel wants it
    size_t group = 0;
  };
  std::vector<ParameterGroup> groups_;
  AdamWOptions options_;
  std::vector<Slot> slots_;
};

// The norm of all gradients together, summed in double. Not finite if one of them is not.
double gradient_norm(const std::vector<at::Tensor>& parameters);

// Scales the gradients so that a norm (gradient_norm's) above largest becomes largest.
void clip_gradients(const std::vector<at::Tensor>& parameters, double norm, double largest);

}  // namespace moebench
