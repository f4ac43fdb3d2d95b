// A mixture of gated experts in place of a feed-forward network, on raw pointers: what a token's activated neurons cost
// in time. Several variants compute the same; dense is one expert that every token visits.
// T tokens, D hidden_size, E routed experts, K top_k.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace moebench::kernels {

constexpr int64_t kMaxExperts = 1024;
constexpr int64_t kMaxSize = int64_t{1} << 24;  // of hidden_size, an expert's width, tokens in a call

enum class Dtype { kFloat32, kBFloat16 };
int64_t element_size(Dtype dtype);  // bytes

// Row-major, of the layer's dtype. row_stride counts elements and is at least columns.
struct Matrix {
  const void* data = nullptr;
  int64_t rows = 0, columns = 0, row_stride = 0;
};

// down (silu(gate x) * (up x)) + output_bias. Neuron i is row i of gate and up with column i of down.
struct GatedExpert {
  Matrix gate, up;                    // [width, D]
  Matrix down;                        // [D, width]
  const void* output_bias = nullptr;  // [D] or null
  const void* absent_bias = nullptr;  // [D] or null: added for a token that does not visit the expert
};

// From a token to a score for each expert. Sums are exact to the variant's accumulation (double in `reference`, float
// elsewhere), whatever the dtype: nothing is rounded between input and score.
struct Router {
  enum class Kind {
    kGiven,      // the caller brings experts and weights
    kLinear,     // first x + bias
    kQuadratic,  // first x + second x^2 + bias
    kGatedRows,  // |(second x) * silu(first x)| (CMoE)
    kTanhMlp,    // second tanh(first x), second [E, E] (LLaMA-MoE)
  };
  Kind kind = Kind::kGiven;
  Matrix first, second;        // [E, D], but for kTanhMlp's second
  const void* bias = nullptr;  // [E] or null
};

// How scores become experts and weights, as moebench::RoutingRule says. A token's experts are those of the largest
// score (after softmax kBeforeTopK, plus selection_bias); of equal ones that of the lower index; not-a-number counts as
// the largest.
struct RoutingRule {
  enum class Softmax { kNone, kBeforeTopK, kAfterTopK };
  enum class Weights { kUnit, kScores, kOnePlusScaledScores };
  enum class Visits { kTopK, kCumulativeMass, kThreshold };
  Softmax softmax = Softmax::kNone;
  Weights weights = Weights::kUnit;
  Visits visits = Visits::kTopK;
  float level = 1;
  float scale = 1;
  std::vector<float> selection_bias;  // [E] or empty
  std::vector<float> expert_scale;    // [E] or empty
};

struct MoeFfn {
  Dtype dtype = Dtype::kFloat32;
  int64_t hidden_size = 0;  // even
  std::vector<GatedExpert> experts;
  std::optional<GatedExpert> shared;  // every token visits it, with weight 1
  Router router;
  RoutingRule rule;
  int64_t top_k = 0;  // most experts that a token visits
};

// The dense feed-forward network as a mixture.
MoeFfn dense_ffn(Dtype dtype, const GatedExpert& network);

// One call. output must not overlap input. experts and weights are [T, K], dense: read where the router is kGiven, else
// written where not null. A token's experts come best first; one that an adaptive rule leaves out stands as
// -1 - expert, with weight 0. A visit of weight 0 is a visit; no expert is given twice to a token.
struct MoeFfnCall {
  int64_t num_tokens = 0;
  const void* input = nullptr;  // [T, D]
  int64_t input_stride = 0;     // elements from row to row
  void* output = nullptr;       // [T, D]
  int64_t output_stride = 0;
  int32_t* experts = nullptr;
  float* weights = nullptr;
  int num_threads = 1;
};

// Holds whatever it needs of the weights (copies, packed or not; `library` refers to them, so they must outlive it).
class MoeFfnKernel {
 public:
  virtual ~MoeFfnKernel() = default;
  // The same call gives the same bits. May be called from several threads at once. Throws std::invalid_argument naming
  // a size, pointer or expert that cannot be.
  virtual void run(const MoeFfnCall& call) const = 0;
};

// Throws std::invalid_argument naming what cannot be.
void check_network(const MoeFfn& network);
void check_call(const MoeFfn& network, const MoeFfnCall& call);

}  // namespace moebench::kernels
