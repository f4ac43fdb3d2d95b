#include "harness/model/llama.h"

#include <stdexcept>
#include <string>
#include <utility>

#include <ATen/ATen.h>

#include "harness/model/projection.h"
#include "harness/model/rms_norm.h"
#include "harness/model/rotary_embedding.h"
#include "harness/model/weight.h"

namespace moebench {
namespace {

at::Tensor embedding_rows(const at::Tensor& embedding, const at::Tensor& ids) {
  TORCH_CHECK(ids.dim() == 2 && ids.scalar_type() == at::kLong, "ids must be [batch, tokens] int64, not ",
              ids.scalar_type(), ids.sizes());
  if (ids.numel() == 0) throw std::invalid_argument("there is no token to run the model on");
  const int64_t lowest = ids.min().item<int64_t>(), highest = ids.max().item<int64_t>();
  if (lowest < 0 || highest >= embedding.size(0)) {
    throw std::invalid_argument("token id " + std::to_string(lowest < 0 ? lowest : highest) +
                                " is outside the model's vocabulary of " + std::to_string(embedding.size(0)) +
                                "; was the text tokenized for another model?");
  }
  return at::embedding(embedding, ids.to(embedding.device()));
}

at::Tensor load_embedding(const Checkpoint& checkpoint, const Precision& precision) {
  return load_weight(checkpoint, "model.embed_tokens.weight", precision);
}

}  // namespace

at::Tensor embed(const Checkpoint& checkpoint, const at::Tensor& ids, const Precision& precision) {
  return embedding_rows(load_embedding(checkpoint, precision), ids);
}

LlamaModel LlamaModel::load(const Checkpoint& checkpoint, const Precision& precision) {
  LlamaModel model;
  model.config_ = checkpoint.config();
  model.precision_ = precision;
  model.embedding_ = load_embedding(checkpoint, precision);
  model.final_norm_ = load_weight(checkpoint, "model.norm.weight", precision);
  model.head_ =
      model.config_.tie_word_embeddings ? model.embedding_ : load_weight(checkpoint, "lm_head.weight", precision);
  const auto rotary_embedding = std::make_shared<RotaryEmbedding>(model.config_, precision.device);
  for (int64_t layer = 0; layer < model.config_.num_layers; ++layer) {
    model.layers_.push_back(LlamaLayer::load(checkpoint, layer, precision, rotary_embedding));
  }
  return model;
}

at::Tensor LlamaModel::forward(const at::Tensor& ids, KvCache* cache) const {
  at::Tensor residual = embedding_rows(embedding_, ids);
  for (const LlamaLayer& layer : layers_) residual = layer.forward(residual, cache);
  if (cache) cache->advance(ids.size(1));
  return rms_norm(residual, final_norm_, config_.rms_norm_eps);
}

at::Tensor LlamaModel::logits(const at::Tensor& hidden) const { return project(hidden, head_); }

}  // namespace moebench
