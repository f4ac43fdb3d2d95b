#include <limits>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>

#include <ATen/ATen.h>

#include "harness/model/attention.h"
#include "harness/model/linear.h"
#include "harness/model/llama.h"
#include "harness/model/rms_norm.h"
#include "harness/model/rotary_embedding.h"
#include "harness/model/run_attention.h"
#include "harness/model/weight.h"

namespace moebench {
namespace {

// Reads one layer's tensors by their short names.
class LayerReader {
 public:
  LayerReader(const Checkpoint& checkpoint, int64_t index, const Precision& precision)
      : checkpoint_(checkpoint), prefix_("model.layers." + std::to_string(index) + "."), precision_(precision) {}

  at::Tensor read(const std::string& name) const { return load_weight(checkpoint_, prefix_ + name, precision_); }
  // q, k and v below one another: one product instead of three.
  at::Tensor read_qkv(const std::string& suffix) const {
    return at::cat(
        {read("self_attn.q_proj." + suffix), read("self_attn.k_proj." + suffix), read("self_attn.v_proj." + suffix)});
  }

 private:
  const Checkpoint& checkpoint_;
  std::string prefix_;
  Precision precision_;
};

}  // namespace

// H attention heads, G key/value heads.
struct LlamaLayer::Weights {
  int64_t index = 0;
  LlamaConfig config;
  std::shared_ptr<const RotaryEmbedding> rotary_embedding;
  at::Tensor input_norm, feed_forward_norm;  // [D]
  at::Tensor qkv_proj;                       // [(H + 2 G) head_dim, D]
  std::optional<at::Tensor> qkv_bias;        // [(H + 2 G) head_dim]
  std::optional<at::Tensor> q_norm, k_norm;  // [head_dim]
  at::Tensor o_proj;                         // [D, H head_dim]
  GatedMlpWeights mlp;
};

LlamaLayer::LlamaLayer(std::shared_ptr<const Weights> weights)
    : weights_(std::move(weights)), feed_forward_(std::make_shared<GatedMlp>(weights_->mlp)) {}

LlamaLayer LlamaLayer::load(const Checkpoint& checkpoint, int64_t index, const Precision& precision) {
  return load(checkpoint, index, precision, std::make_shared<RotaryEmbedding>(checkpoint.config(), precision.device));
}

LlamaLayer LlamaLayer::load(const Checkpoint& checkpoint, int64_t index, const Precision& precision,
                            std::shared_ptr<const RotaryEmbedding> rotary_embedding) {
  const LayerReader reader(checkpoint, index, precision);
  auto weights = std::make_shared<Weights>();
  weights->index = index;
  weights->config = checkpoint.config();
  weights->rotary_embedding = std::move(rotary_embedding);
  weights->input_norm = reader.read("input_layernorm.weight");
  weights->feed_forward_norm = reader.read("post_attention_layernorm.weight");
  weights->qkv_proj = reader.read_qkv("weight");
  if (weights->config.attention_bias) weights->qkv_bias = reader.read_qkv("bias");
  if (weights->config.qk_norm) {
    weights->q_norm = reader.read("self_attn.q_norm.weight");
    weights->k_norm = reader.read("self_attn.k_norm.weight");
  }
  weights->o_proj = reader.read("self_attn.o_proj.weight");
  weights->mlp = {reader.read("mlp.gate_proj.weight"), reader.read("mlp.up_proj.weight"),
                  reader.read("mlp.down_proj.weight")};
  return LlamaLayer(std::move(weights));
}

at::Tensor LlamaLayer::attend(const at::Tensor& residual, KvCache* cache) const {
  const Weights& weights = *weights_;
  const LlamaConfig& config = weights.config;
  const int64_t batch = residual.size(0);
  const int64_t num_tokens = residual.size(1);
  const int64_t first_position = cache ? cache->length() : 0;

  const at::Tensor normed = rms_norm(residual, weights.input_norm, config.rms_norm_eps);
  const std::vector<at::Tensor> qkv =
      apply_linear(normed, weights.qkv_proj, weights.qkv_bias)
          .view({batch, num_tokens, -1, config.head_dim})
          .transpose(1, 2)
          .split_with_sizes({config.num_attention_heads, config.num_key_value_heads, config.num_key_value_heads}, 1);
  at::Tensor queries = qkv[0], keys = qkv[1], values = qkv[2];
  if (weights.q_norm) queries = rms_norm(queries, *weights.q_norm, config.rms_norm_eps);
  if (weights.k_norm) keys = rms_norm(keys, *weights.k_norm, config.rms_norm_eps);
  queries = weights.rotary_embedding->rotate(queries, first_position);
  keys = weights.rotary_embedding->rotate(keys, first_position);
  if (cache) std::tie(keys, values) = cache->append(weights.index, keys, values);
  const at::Tensor attended = causal_attention(queries, keys, values, config.sliding_window);
  return apply_linear(attended.transpose(1, 2).flatten(2), weights.o_proj).add_(residual);
}

at::Tensor LlamaLayer::feed_forward_input(const at::Tensor& residual) const {
  return rms_norm(residual, weights_->feed_forward_norm, weights_->config.rms_norm_eps);
}

at::Tensor LlamaLayer::forward(const at::Tensor& residual, KvCache* cache) const {
  const at::Tensor attended = attend(residual, cache);
  const at::Tensor hidden = feed_forward_input(attended).flatten(0, 1);
  return attended + feed_forward_->forward(hidden).view_as(attended);
}

at::Tensor LlamaLayer::attend(const at::Tensor& residual, const at::Tensor& positions,
                              std::span<TokenRun* const> runs) const {
  const Weights& weights = *weights_;
  const LlamaConfig& config = weights.config;
  const at::Tensor normed = rms_norm(residual, weights.input_norm, config.rms_norm_eps);
  const std::vector<at::Tensor> qkv =
      apply_linear(normed, weights.qkv_proj, weights.qkv_bias)
          .view({residual.size(0), -1, config.head_dim})
          .transpose(0, 1)
          .split_with_sizes({config.num_attention_heads, config.num_key_value_heads, config.num_key_value_heads}, 0);
  at::Tensor queries = qkv[0], keys = qkv[1];
  if (weights.q_norm) queries = rms_norm(queries, *weights.q_norm, config.rms_norm_eps);
  if (weights.k_norm) keys = rms_norm(keys, *weights.k_norm, config.rms_norm_eps);
  queries = weights.rotary_embedding->rotate(queries, positions);
  keys = weights.rotary_embedding->rotate(keys, positions);

  at::Tensor attended = at::zeros({residual.size(0), config.num_attention_heads, config.head_dim}, residual.options());
  int64_t first = 0;
  for (TokenRun* const run : runs) {
    const int64_t count = run->num_tokens();
    const at::Tensor own_keys = keys.narrow(1, first, count), own_values = qkv[2].narrow(1, first, count);
    attended.narrow(0, first, count)
        .copy_(run_attention(*run, weights.index, queries.narrow(1, first, count).transpose(0, 1), own_keys, own_values,
                             config.sliding_window.value_or(std::numeric_limits<int64_t>::max())));
    if (run->is_continued) {
      run->keys.push_back(own_keys.clone(at::MemoryFormat::Contiguous));
      run->values.push_back(own_values.clone(at::MemoryFormat::Contiguous));
    }
    first += count;
  }
  return apply_linear(attended.flatten(1), weights.o_proj).add_(residual);
}

at::Tensor LlamaLayer::forward(const at::Tensor& residual, const at::Tensor& positions,
                               std::span<TokenRun* const> runs) const {
  const at::Tensor attended = attend(residual, positions, runs);
  return attended + feed_forward_->forward(feed_forward_input(attended));
}

void LlamaLayer::change_weight(const std::string& name, const std::function<at::Tensor(const at::Tensor&)>& change) {
  auto changed = std::make_shared<Weights>(*weights_);
  const auto assign = [&](at::Tensor& weight) { weight = change(weight); };
  // Of q, k and v, which stand below one another: rows from first on.
  const auto assign_rows = [&](at::Tensor& weight, int64_t first, int64_t rows) {
    const at::Tensor part = change(weight.narrow(0, first, rows));
    weight = weight.clone();
    weight.narrow(0, first, rows).copy_(part);
  };
  const auto assign_optional = [&](std::optional<at::Tensor>& weight) {
    if (!weight) throw std::invalid_argument("is not one of the model's");
    weight = change(*weight);
  };
  const LlamaConfig& config = weights_->config;
  const int64_t query_rows = config.num_attention_heads * config.head_dim;
  const int64_t key_rows = config.num_key_value_heads * config.head_dim;
  const std::map<std::string, std::function<void()>> by_name = {
      {"input_layernorm.weight", [&] { assign(changed->input_norm); }},
      {"post_attention_layernorm.weight", [&] { assign(changed->feed_forward_norm); }},
      {"self_attn.q_proj.weight", [&] { assign_rows(changed->qkv_proj, 0, query_rows); }},
      {"self_attn.k_proj.weight", [&] { assign_rows(changed->qkv_proj, query_rows, key_rows); }},
      {"self_attn.v_proj.weight", [&] { assign_rows(changed->qkv_proj, query_rows + key_rows, key_rows); }},
      {"self_attn.q_norm.weight", [&] { assign_optional(changed->q_norm); }},
      {"self_attn.k_norm.weight", [&] { assign_optional(changed->k_norm); }},
      {"self_attn.o_proj.weight", [&] { assign(changed->o_proj); }},
      {"mlp.gate_proj.weight", [&] { assign(changed->mlp.gate_proj); }},
      {"mlp.up_proj.weight", [&] { assign(changed->mlp.up_proj); }},
      {"mlp.down_proj.weight", [&] { assign(changed->mlp.down_proj); }},
  };
  const auto found = by_name.find(name);
  if (found == by_name.end()) throw std::invalid_argument("is not a weight that can be replaced");
  found->second();
  const bool is_dense = dynamic_cast<const GatedMlp*>(feed_forward_.get()) != nullptr;
  weights_ = std::move(changed);
  if (is_dense) feed_forward_ = std::make_shared<GatedMlp>(weights_->mlp);
}

int64_t LlamaLayer::index() const { return weights_->index; }

const GatedMlpWeights& LlamaLayer::dense_weights() const { return weights_->mlp; }

const FeedForward& LlamaLayer::feed_forward() const { return *feed_forward_; }

void LlamaLayer::replace_feed_forward(std::shared_ptr<const FeedForward> feed_forward) {
  feed_forward_ = std::move(feed_forward);
}

}  // namespace moebench
