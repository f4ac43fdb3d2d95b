// CMoE's activation markers (paper: ATopK): which neurons are among the most active of each token. Ten indices a token
// are all that is kept, never a float matrix of tokens by neurons.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <ATen/core/Tensor.h>

#include "harness/converter.h"

namespace moebench {

// A binary matrix [tokens, neurons] kept by column.
class MarkerMatrix {
 public:
  // marks: the marked neurons of token after token, marks_per_token each, different within a token.
  MarkerMatrix(std::span<const int32_t> marks, int64_t marks_per_token, int64_t num_neurons);

  int64_t num_tokens() const { return num_tokens_; }
  int64_t num_neurons() const { return static_cast<int64_t>(first_.size()) - 1; }
  int64_t count(int64_t neuron) const { return first_[neuron + 1] - first_[neuron]; }  // tokens that marked it
  std::span<const int32_t> tokens(int64_t neuron) const;                               // ascending

 private:
  int64_t num_tokens_;
  std::vector<int64_t> first_;  // [num_neurons + 1] offsets into tokens_
  std::vector<int32_t> tokens_;
};

// The count most often marked of these neurons, most often first. Rates tie in most layers at the cut (where few
// neurons are ever marked, at zero), and which of them are taken moves SmolLM2's perplexity by several percent; so the
// choice is torch.topk's of the released code: arbitrary, but always the same one.
std::vector<int64_t> most_marked(const MarkerMatrix& markers, std::span<const int64_t> neurons, int64_t count);

// 0 to num_neurons - 1 without those in taken.
std::vector<int64_t> other_neurons(std::span<const int64_t> taken, int64_t num_neurons);

enum class ActivationScore {
  kNormalised,  // silu(x^ g^) * (x^ u^), hats: L2-normalised token and weight rows. The released code
  kPlain,       // silu(x g) * (x u). The paper
};

ActivationScore parse_activation_score(const std::string& option);  // "code" or "paper"

class ActivationMarkers {
 public:
  // dense: rows are normalised by their own norms, read here.
  ActivationMarkers(const GatedMlpWeights& dense, ActivationScore score, int64_t top_activations);

  void observe(const FfnChunk& chunk);
  at::Tensor scores(const FfnChunk& chunk) const;  // [tokens, intermediate_size] fp32, not negative
  MarkerMatrix matrix() const;                     // of all windows so far

 private:
  ActivationScore score_;
  int64_t top_activations_, num_neurons_;
  at::Tensor gate_norms_, up_norms_;  // [intermediate_size]
  std::vector<int32_t> marks_;
};

}  // namespace moebench
