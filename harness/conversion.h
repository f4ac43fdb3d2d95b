// The result of converting: per layer, which neurons go to which expert, and how tokens are routed. A few hundred
// kilobytes of indices beside the dense checkpoint, not a model.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <nlohmann/json.hpp>

#include "harness/model/feed_forward.h"
#include "harness/model/low_rank_update.h"
#include "harness/moe_shape.h"

namespace moebench {

struct GatedMlpUpdates {
  std::optional<LowRankUpdate> gate_proj, up_proj, down_proj;
};

// An expert: neurons of the dense FFN by index (experts may overlap), optionally with a refitted down projection, an
// output bias, and a vector added where the expert is not visited; or weights of its own.
struct ExpertSpec {
  at::Tensor neurons;                          // [expert_intermediate_size] int64, ascending
  std::optional<at::Tensor> down_proj;         // [hidden_size, expert_intermediate_size]
  std::optional<at::Tensor> output_bias;       // [hidden_size]
  std::optional<at::Tensor> absent_bias;       // [hidden_size]
  std::optional<GatedMlpWeights> own_weights;  // then neurons may be undefined
  GatedMlpUpdates updates;                     // added to whatever weights the above give
  // A bound, not a method: all neurons are computed, but of each token only so many, those of the largest |h|, count.
  // 0: all of them.
  int64_t top_neurons = 0;
};

enum class RouterKind {
  kLinear,     // weight [E, D], optional bias [E]: logits = weight x + bias
  kGatedRows,  // gate [E, D], up [E, D]: |up x * silu(gate x)| (CMoE)
  kTanhMlp,    // first [E, D], second [E, E]: second tanh(first x) (LLaMA-MoE)
  kOracle,     // no tensors: ||expert(x)||, computes every expert; a bound, not a method. Chooses by the norm itself
  kStatic,     // no tensors, no routed experts: the shared one only
  kQuadratic,  // weight [E, D], square [E, D], bias [E]: logits = weight x + square x^2 + bias
};

struct RouterSpec {
  RouterKind kind = RouterKind::kStatic;
  std::map<std::string, at::Tensor> tensors;
};

// How scores become a choice and weights.
struct RoutingRule {
  enum class Softmax { kNone, kBeforeTopK, kAfterTopK };
  enum class Weights { kUnit, kScores, kOnePlusScaledScores };  // 1, s, 1 + s * expert_scale (CMoE after fine-tuning)
  Softmax softmax = Softmax::kNone;
  Weights weights = Weights::kUnit;
  double scale = 1;                          // multiplies every routed expert's weight
  std::optional<at::Tensor> selection_bias;  // [E], added to the scores for choosing only
  std::optional<at::Tensor> expert_scale;    // [E]

  // How many of its top_k experts a token visits; p is the softmax of the router's logits over all E, level in (0, 1].
  enum class Visits {
    kTopK,            // all of them
    kCumulativeMass,  // the best ones until their p sum to level (LaDiMo-style)
    kThreshold,       // those whose p is at least level times the best one's (D2DMoE, arXiv 2310.04361)
  };
  Visits visits = Visits::kTopK;
  double level = 1;
};

// One layer's MoE, described against the dense layer it replaces. E counts routed experts.
struct LayerConversion {
  bool keep_dense = false;
  std::vector<ExpertSpec> experts;   // routed; number and width may differ from layer to layer
  std::optional<ExpertSpec> shared;  // always visited
  RouterSpec router;
  RoutingRule rule;
  int64_t top_k = 0;       // most experts that a token visits
  double mean_visits = 0;  // of an adaptive rule: experts a token visits, on the text that chose its level; else 0
  nlohmann::json notes;    // what the method says of this layer: errors, curves. An object, or null
};

struct Conversion {
  std::vector<LayerConversion> layers;
  // method, options, shape, seed, source checkpoint hash, calibration hash, seconds by phase, peak memory.
  nlohmann::json metadata = nlohmann::json::object();
  // Retrained tensors outside the mixtures, by checkpoint name ("model.layers.3.input_layernorm.weight"), and low-rank
  // updates of such ("model.layers.3.self_attn.q_proj.weight").
  std::map<std::string, at::Tensor> model_tensors;
  std::map<std::string, LowRankUpdate> model_updates;
};

// One safetensors file that other tools can read. Tensors: layers.{l}.experts.{e}.neurons and layers.{l}.shared.neurons
// (int64); beside them .down_proj, .output_bias, .absent_bias, .own.{gate,up,down}_proj,
// .updates.{gate,up,down}_proj.{a,b}; layers.{l}.router.*; layers.{l}.rule.{selection_bias,expert_scale};
// model_tensors.{name}, model_updates.{name}.{a,b}. Metadata "moebench": JSON, the conversion's own metadata with
// "format_version" and "layers": [{keep_dense, num_experts, router, softmax, weights, scale, top_k, visits, level,
// mean_visits, shared_top_neurons, notes}].
// save throws TryAgainError where it cannot write. load throws std::runtime_error naming file, layer and field: an
// index that is negative or not ascending, a missing, unknown or misshapen tensor or one with a value that is not
// finite, a metadata field of another type, an unknown rule. (Whether an index fits the model, check_conversion knows.)
void save_conversion(const Conversion& conversion, const std::filesystem::path& path);
Conversion load_conversion(const std::filesystem::path& path);

// Throws std::invalid_argument naming layer and field if conversion is not sound or was not made for such layers
// (number, neuron range, hidden size).
void check_conversion(const Conversion& conversion, int64_t num_layers, int64_t intermediate_size, int64_t hidden_size);

// Throws std::invalid_argument naming an update whose two factors do not fit one another.
void check_retrained(const Conversion& conversion);

// One layer of it; where names it in messages. Without sizes: that its parts agree with one another.
void check_layer_conversion(const LayerConversion& layer, const std::string& where,
                            std::optional<int64_t> intermediate_size, std::optional<int64_t> hidden_size);

// The same experts, chosen by the oracle router (largest output norm) with the same k; where routing is adaptive, the
// same mean number of experts, rounded, for every token. Where a router's scores are weights, of which an oracle has
// none: 1 for experts that are disjoint parts of the FFN, an equal share of the rule's scale for others (DIVE's
// prunings, distilled ones). metadata says "router": "oracle".
Conversion with_oracle_router(const Conversion& conversion);

}  // namespace moebench
