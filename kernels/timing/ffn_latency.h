// Is the mixture faster than the dense network that it replaces? One call of a layer, router included, weights not in
// the cache, against the best dense that this machine has.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/moe_ffn.h"
#include "kernels/timing/ceilings.h"
#include "kernels/timing/turns.h"

namespace moebench::kernels {

// A network as it stands in each of some layers. Called in rotation: what one call reads, the others push out of the
// cache, as the layers of a model do.
struct LayerStack {
  std::string name;            // "dense", "S0A2E8"
  std::vector<MoeFfn> layers;  // of one dtype and hidden size; weights outlive this
  // For each layer rows that it really sees, [num_inputs, D] without gaps, which outlive this: a batch is some
  // neighbours of them, others every round. Empty: random rows.
  std::vector<const void*> inputs;
  int64_t num_inputs = 0;
};

struct LatencyOptions {
  std::vector<int64_t> num_tokens;
  std::vector<std::string> variants = {"library", "fused"};
  int num_threads = 1;
  TimingLimits limits;
  uint64_t seed = 0;                          // of the inputs
  std::function<void(double done)> progress;  // share; may throw to stop
};

// What one call of an arm costs.
struct LatencyRow {
  int64_t num_tokens = 0;
  std::string network, variant;
  double active_ratio = 1;      // neurons that a token visits over those of dense, mean of these tokens and layers
  std::vector<double> seconds;  // of each round
  PairedRatio ratio;            // over the best dense variant
  PairedRatio same;             // of that dense variant over itself
  Verdict verdict = Verdict::kIndistinguishable;
  double bytes = 0;  // read and written at least, mean of the layers: visited weights, inputs, outputs
  double flops = 0;
  double experts_hit = 0;  // mean of the layers
  double load = 0;         // visits of the busiest expert over the mean
  bool is_best_dense = false;
};

// stacks[0] is dense. Every stack by every variant, in turns, for each number of tokens.
std::vector<LatencyRow> measure_ffn_latency(const std::vector<LayerStack>& stacks, const LatencyOptions& options);

// The smallest number of tokens from which on every verdict of that network and variant is FASTER; 0 if there is none.
int64_t break_even_tokens(std::vector<LatencyRow> rows, const std::string& network, const std::string& variant);

// Of the nearer bound, bytes or operations, at the median time.
double ceiling_share(const LatencyRow& row, const Ceilings& ceilings, Dtype dtype);

// How many layers of such a network it takes until a rotation reads far more than the caches hold.
int64_t layers_for_cold_weights(double bytes_of_a_call);

}  // namespace moebench::kernels
