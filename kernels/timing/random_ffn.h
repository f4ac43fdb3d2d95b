// Networks of a published model's shape with random weights: speed does not depend on their values.
#pragma once

#include <string>
#include <vector>

#include "kernels/cpu/packed_weights.h"
#include "kernels/moe_ffn.h"

namespace moebench::kernels {

struct FfnShape {
  std::string name;
  int64_t hidden_size, intermediate_size, num_layers;
};

const std::vector<FfnShape>& known_ffn_shapes();
// Throws std::invalid_argument naming those that are known.
const FfnShape& ffn_shape(const std::string& name);

// Normal-like values of variance 1 / columns in memory of its own.
class RandomMatrix {
 public:
  RandomMatrix(int64_t rows, int64_t columns, Dtype dtype, uint64_t seed);
  Matrix view() const { return {memory_.data(), rows_, columns_, columns_}; }

 private:
  int64_t rows_, columns_;
  AlignedMemory memory_;
};

// How a batch of tokens falls on experts.
enum class RoutingPattern {
  kBalanced,  // as a random router routes random inputs: nearly alike
  kSkewed,    // probabilities raised by 2 / (E rank): the first experts do most of the work (Zipf)
  kOne,       // every token visits the same top_k
};
const char* name_of(RoutingPattern pattern);

// A dense network, or a mixture of equal experts behind a linear router with softmax before top-k.
class RandomFfn {
 public:
  RandomFfn(const FfnShape& shape, Dtype dtype, uint64_t seed);
  RandomFfn(const FfnShape& shape, int64_t num_experts, RoutingPattern pattern, Dtype dtype, uint64_t seed);

  // top_k of a mixture; the weights are this object's.
  MoeFfn network(int64_t top_k = 0) const;

 private:
  GatedExpert add_expert(const FfnShape& shape, int64_t width, uint64_t seed);

  MoeFfn network_;
  std::vector<RandomMatrix> matrices_;
};

}  // namespace moebench::kernels
