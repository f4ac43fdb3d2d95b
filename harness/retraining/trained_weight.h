// A weight as a retraining stage sees it: frozen, with a low-rank update beside it, or trained itself.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include "harness/model/low_rank_update.h"
#include "harness/retrain_stage.h"
#include "harness/retraining/stacked_product.h"

namespace moebench {

// What an optimizer is to train: an fp32 leaf, by a name that is unique in its model.
struct TrainedParameter {
  std::string name;
  at::Tensor tensor;
  bool is_expert_scale = false;  // these have a rate of their own
};

// How a stage trains the weights of one kind.
struct WeightTraining {
  Training training = Training::kFrozen;
  int64_t rank = 8;
  double alpha = 16, dropout = 0;
};

class TrainedWeight {
 public:
  enum class Direction { kToBlocks, kFromBlocks };  // of stacked_product.h

  TrainedWeight() = default;
  // weight: [N, D], fp32, whose rows widths cut into blocks. Products are computed in dtype. The factor of a low-rank
  // update that meets the input is drawn from generator as peft draws it (uniform up to 1 / sqrt(its inputs)), the
  // other is zero.
  TrainedWeight(const at::Tensor& weight, std::vector<int64_t> widths, Direction direction,
                const WeightTraining& training, at::ScalarType dtype, at::Generator& generator);

  StackedFactors factors() const;              // all blocks, in dtype; the parameters' gradients flow through them
  std::vector<StackedFactors> blocks() const;  // each by itself
  // The product of input with factors(), or with one of blocks(). Dropout is drawn from generator: one mask for all
  // that is multiplied at once.
  at::Tensor apply(const StackedFactors& factors, const at::Tensor& input, at::Generator& generator) const;

  void add_parameters(const std::string& name, std::vector<TrainedParameter>& parameters) const;

  bool is_updated() const { return left_.defined(); }
  bool is_replaced() const { return training_.training == Training::kFull; }
  // Of one block, as a linear layer of its own, [out, in]: a copy that training does not change.
  LowRankUpdate block_update(size_t block) const;  // if is_updated()
  at::Tensor block_weight(size_t block) const;     // if is_replaced(), fp32

 private:
  double scale() const;    // of the update
  bool is_folded() const;  // into the weight, before the product
  at::Tensor rows_of(const at::Tensor& stacked, size_t block) const;

  at::Tensor weight_;  // in dtype, or an fp32 leaf where it is trained
  std::vector<int64_t> widths_;
  Direction direction_ = Direction::kToBlocks;
  WeightTraining training_;
  at::ScalarType dtype_ = at::kFloat;
  at::Tensor left_, right_;  // fp32 leaves
};

// before, then update: what both together add.
LowRankUpdate joined(const std::optional<LowRankUpdate>& before, const LowRankUpdate& update);

}  // namespace moebench
