// A mixture with random weights in memory of its own, its rows apart by an odd number of elements.
#pragma once

#include <list>
#include <random>
#include <vector>

#include "kernels/moe_ffn.h"

namespace moebench::kernels {

struct RandomNetworkShape {
  Dtype dtype = Dtype::kFloat32;
  int64_t hidden_size = 64;
  std::vector<int64_t> widths;  // of the routed experts
  int64_t shared_width = 0;     // 0: none
  int64_t top_k = 0;
  Router::Kind router = Router::Kind::kGiven;
  bool has_output_biases = false, has_absent_biases = false;
};

class RandomNetwork {
 public:
  explicit RandomNetwork(const RandomNetworkShape& shape, uint32_t seed = 1);

  MoeFfn network;

  // [num_tokens, hidden_size] normal values with rows stride elements apart, the rest not-a-number.
  std::vector<char> inputs(int64_t num_tokens, int64_t stride);

  // A float at an index of an array of the network's dtype.
  float value(const std::vector<char>& values, int64_t index) const;
  void set(std::vector<char>& values, int64_t index, float value) const;

 private:
  Matrix matrix(int64_t rows, int64_t columns);
  const void* vector(int64_t size);
  GatedExpert expert(int64_t width, const RandomNetworkShape& shape);

  std::mt19937 generator_;
  std::list<std::vector<char>> memory_;
};

}  // namespace moebench::kernels
