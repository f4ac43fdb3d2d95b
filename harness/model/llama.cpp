#include "harness/model/llama.h"

#include <charconv>
#include <stdexcept>
#include <string>
#include <utility>

#include <ATen/ATen.h>

#include "harness/model/linear.h"
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

struct LayerWeightName {
  int64_t layer = -1;      // -1: not a layer's
  std::string short_name;  // "mlp.up_proj.weight"
};

// Of "model.layers.3.mlp.up_proj.weight".
LayerWeightName parse_layer_weight_name(const std::string& name) {
  static const std::string kPrefix = "model.layers.";
  const size_t dot = name.starts_with(kPrefix) ? name.find('.', kPrefix.size()) : std::string::npos;
  LayerWeightName parsed;
  if (dot == std::string::npos) return parsed;
  const auto [end, error] = std::from_chars(name.data() + kPrefix.size(), name.data() + dot, parsed.layer);
  if (error != std::errc() || end != name.data() + dot) return {};
  parsed.short_name = name.substr(dot + 1);
  return parsed;
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

at::Tensor LlamaModel::forward(std::span<TokenRun* const> runs) const {
  std::vector<int64_t> ids, positions;
  for (const TokenRun* const run : runs) {
    const int64_t first = run->first_position();
    for (int64_t token = 0; token < run->num_tokens(); ++token) positions.push_back(first + token);
    ids.insert(ids.end(), run->ids.begin(), run->ids.end());
  }
  // Elementwise operators compute what does not fill their vectors otherwise than the rest: rows of a multiple of any
  // vector's length leave nothing over.
  const int64_t num_tokens = std::ssize(ids), rows = (num_tokens + kRowMultiple - 1) / kRowMultiple * kRowMultiple;
  positions.resize(rows);
  at::Tensor residual = at::zeros({rows, config_.hidden_size}, embedding_.options());
  residual.narrow(0, 0, num_tokens).copy_(embedding_rows(embedding_, at::tensor(ids, at::kLong).unsqueeze(0))[0]);
  const at::Tensor position_ids = at::tensor(positions, at::kLong).to(embedding_.device());
  for (const LlamaLayer& layer : layers_) residual = layer.forward(residual, position_ids, runs);
  return rms_norm(residual, final_norm_, config_.rms_norm_eps).narrow(0, 0, num_tokens);
}

void LlamaModel::change_weight(const std::string& name,
                               const std::function<at::Tensor(const at::Tensor&)>& change) try {
  if (name == "model.embed_tokens.weight") {
    embedding_ = change(embedding_);
    if (config_.tie_word_embeddings) head_ = embedding_;
  } else if (name == "model.norm.weight") {
    final_norm_ = change(final_norm_);
  } else if (name == "lm_head.weight" && !config_.tie_word_embeddings) {
    head_ = change(head_);
  } else {
    const LayerWeightName parts = parse_layer_weight_name(name);
    if (parts.layer < 0 || parts.layer >= config_.num_layers) throw std::invalid_argument("is not one of the model's");
    layers_[parts.layer].change_weight(parts.short_name, change);
  }
} catch (const std::invalid_argument& error) {
  throw std::invalid_argument("weight '" + name + "' " + error.what());
}

void LlamaModel::replace_weight(const std::string& name, const at::Tensor& tensor) {
  change_weight(name, [&](const at::Tensor& weight) {
    if (tensor.sizes() != weight.sizes()) throw std::invalid_argument("has another shape in the model");
    return tensor.to(weight.options());
  });
}

void LlamaModel::update_weight(const std::string& name, const LowRankUpdate& update) {
  change_weight(name, [&](const at::Tensor& weight) {
    const bool fits = weight.dim() == 2 && update.a.dim() == 2 && update.b.dim() == 2 &&
                      update.b.size(0) == weight.size(0) && update.a.size(1) == weight.size(1) &&
                      update.a.size(0) == update.b.size(1);
    if (!fits) throw std::invalid_argument("has another shape in the model than its update");
    return updated(weight, update);
  });
}

at::Tensor LlamaModel::logits(const at::Tensor& hidden) const { return apply_linear(hidden, head_); }

}  // namespace moebench
