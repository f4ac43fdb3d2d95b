// The model: embedding, layers of attention and a replaceable feed-forward network, head. fp32 or bf16; CPU or CUDA.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "harness/checkpoint/checkpoint.h"
#include "harness/model/feed_forward.h"
#include "harness/model/kv_cache.h"
#include "harness/model/low_rank_update.h"
#include "harness/model/token_run.h"

namespace moebench {

class RotaryEmbedding;

struct Precision {
  at::ScalarType dtype = at::kFloat;  // or at::kBFloat16
  at::Device device = at::kCPU;
};

// One decoder layer. B batch, T tokens, D hidden_size.
class LlamaLayer {
 public:
  // Loads layer `index` of the checkpoint, and nothing else.
  static LlamaLayer load(const Checkpoint& checkpoint, int64_t index, const Precision& precision);

  // residual [B, T, D] plus attention of it. Positions start at the cache's length (0 without one).
  at::Tensor attend(const at::Tensor& residual, KvCache* cache = nullptr) const;
  // What the feed-forward network sees: the norm of the residual, [B, T, D].
  at::Tensor feed_forward_input(const at::Tensor& residual) const;
  // attend, then residual + feed_forward(feed_forward_input).
  at::Tensor forward(const at::Tensor& residual, KvCache* cache = nullptr) const;
  // The same of runs, whose tokens' residuals stand one after the other: [rows, D], rows of no run behind them.
  // positions: [rows] int64. Keeps keys and values of the runs that are continued.
  at::Tensor forward(const at::Tensor& residual, const at::Tensor& positions, std::span<TokenRun* const> runs) const;

  int64_t index() const;
  const GatedMlpWeights& dense_weights() const;  // the checkpoint's own, whatever is in the slot
  const FeedForward& feed_forward() const;
  void replace_feed_forward(std::shared_ptr<const FeedForward> feed_forward);

 private:
  friend class LlamaModel;
  struct Weights;
  at::Tensor attend(const at::Tensor& residual, const at::Tensor& positions, std::span<TokenRun* const> runs) const;
  // Puts change(weight) in place of the weight of this short name ("mlp.up_proj.weight"). A copy: other layers that
  // share the weights keep theirs.
  void change_weight(const std::string& name, const std::function<at::Tensor(const at::Tensor&)>& change);
  static LlamaLayer load(const Checkpoint& checkpoint, int64_t index, const Precision& precision,
                         std::shared_ptr<const RotaryEmbedding> rotary_embedding);
  explicit LlamaLayer(std::shared_ptr<const Weights> weights);

  std::shared_ptr<const Weights> weights_;
  std::shared_ptr<const FeedForward> feed_forward_;
};

class LlamaModel {
 public:
  static LlamaModel load(const Checkpoint& checkpoint, const Precision& precision);

  // ids: [B, T] int64. Returns the final hidden states after the last norm, [B, T, D]. With a cache, ids continue it.
  // Throws std::invalid_argument for an id outside the vocabulary or a text longer than max_position_embeddings.
  at::Tensor forward(const at::Tensor& ids, KvCache* cache = nullptr) const;
  // Final hidden states of the runs' tokens, one run after the other: [tokens, D]. For one thread: on a CPU with
  // AVX2 or more, a token's bits depend on its own text alone, not on the runs that it was cut into nor on those
  // computed beside it. Throws as above.
  at::Tensor forward(std::span<TokenRun* const> runs) const;
  at::Tensor logits(const at::Tensor& hidden) const;  // [..., D] → [..., vocab_size] in the model's dtype

  // Retrained weights, by their checkpoint's name ("model.layers.3.input_layernorm.weight"): tensor takes the place of
  // the one there, or update is added to it. Other models that share layers with this one keep theirs. Not for the
  // feed-forward slot, which replace_feed_forward fills. Throws std::invalid_argument for a name that the model does
  // not have or another shape.
  void replace_weight(const std::string& name, const at::Tensor& tensor);
  void update_weight(const std::string& name, const LowRankUpdate& update);

  const LlamaConfig& config() const { return config_; }
  const Precision& precision() const { return precision_; }
  std::vector<LlamaLayer>& layers() { return layers_; }
  const std::vector<LlamaLayer>& layers() const { return layers_; }

 private:
  LlamaModel() = default;
  void change_weight(const std::string& name, const std::function<at::Tensor(const at::Tensor&)>& change);

  LlamaConfig config_;
  Precision precision_;
  at::Tensor embedding_, final_norm_, head_;
  std::vector<LlamaLayer> layers_;
};

// Embedding rows of ids, [B, T] → [B, T, D], without the model: for passes that stream layers.
at::Tensor embed(const Checkpoint& checkpoint, const at::Tensor& ids, const Precision& precision);

}  // namespace moebench
