// FLAP's way to prune a layer (WIFV, arXiv 2312.11983): the neurons stay that move most and write most, and a bias
// stands for what the others write on average. F neurons, D hidden_size.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "harness/conversion.h"
#include "methods/activation_fluctuation.h"

namespace moebench {

// Squared norm of each neuron's column of down_proj [D, F]: [F] double, on the CPU.
at::Tensor squared_output_norms(const at::Tensor& down_proj);

// Indices of the count largest of importance [F], double, on the CPU; of equals the lowest index.
std::vector<int64_t> most_important(const at::Tensor& importance, int64_t count);

// down_proj times the mean activation [F], double, of the neurons that are not kept (int64 indices): [D] in down_proj's
// dtype.
at::Tensor mean_output_of_dropped(const at::Tensor& down_proj, const at::Tensor& mean, const at::Tensor& kept);

struct FluctuationPruning {
  enum class Estimator {
    kPublished,  // the released code's statistic, which the first of the samples does not enter
    kTextbook,   // the variance over all tokens
  };
  Estimator estimator = Estimator::kPublished;
  bool half_precision_mean = false;  // the mean is rounded to fp16 before it becomes a bias (DIVE's released code)

  int64_t fewest_samples() const { return estimator == Estimator::kPublished ? 2 : 1; }
  // The num_kept neurons of the largest fluctuation times squared_output_norms, with the others' bias.
  ExpertSpec prune(const ActivationFluctuation& fluctuation, const at::Tensor& down_proj, int64_t num_kept) const;
};

}  // namespace moebench
