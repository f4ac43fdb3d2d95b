// LLaMA-MoE's co-activation split: neurons that are active together stay together, by a balanced cut of a graph.
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

namespace moebench {

// An undirected graph in METIS's compressed rows: the neighbours of node i and the weights of the edges to them are
// entries offsets[i] to offsets[i + 1]. No loops; every edge is there from both ends.
struct NeuronGraph {
  std::vector<int32_t> offsets;  // [nodes + 1]
  std::vector<int32_t> neighbours, weights;

  int64_t num_nodes() const { return static_cast<int64_t>(offsets.size()) - 1; }
};

// How the released code sums up what neurons do at the same time.
class Coactivation {
 public:
  // limit: the most that a window adds to a pair (the published --threshold); may be infinite.
  Coactivation(int64_t num_neurons, double limit);

  // A window's features, not negative: [tokens, num_neurons]. Adds min(limit, sum over tokens of f_i f_j) to pair ij.
  void observe(const at::Tensor& features);

  // Sums in units of 0.99 times their first decile that is not zero, cut to whole numbers; no edge below one unit. (Of
  // more where the weights of all edges would not add up in 32 bits.)
  // Throws std::invalid_argument where no neurons were active together.
  NeuronGraph graph() const;

 private:
  double limit_;
  at::Tensor sums_;  // [num_neurons, num_neurons] fp32
};

// Parts of equal size: METIS's k-way partition, whose parts are nearly equal, then single nodes moved from parts that
// are too large to parts that are too small, each time the one that adds least to the cut. (The released code moves
// random ones.) Returns each node's part. The same graph and seed give the same parts.
// Throws std::invalid_argument if the parts do not divide the nodes.
std::vector<int64_t> balanced_cut(const NeuronGraph& graph, int64_t num_parts, uint64_t seed);

// Summed weight of the edges between parts.
int64_t cut_weight(const NeuronGraph& graph, const std::vector<int64_t>& parts);

}  // namespace moebench
