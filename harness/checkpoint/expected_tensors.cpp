#include "harness/checkpoint/expected_tensors.h"

#include <set>
#include <stdexcept>

namespace moebench {
namespace {

std::string to_text(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (const int64_t size : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + "]";
}

void add_layer(const LlamaConfig& config, int64_t layer, std::vector<ExpectedTensor>& tensors) {
  const std::string prefix = "model.layers." + std::to_string(layer) + ".";
  const int64_t hidden = config.hidden_size;
  const int64_t query_size = config.num_attention_heads * config.head_dim;
  const int64_t key_value_size = config.num_key_value_heads * config.head_dim;
  const auto add = [&](const std::string& name, std::vector<int64_t> shape) {
    tensors.push_back({prefix + name, std::move(shape)});
  };
  add("input_layernorm.weight", {hidden});
  add("self_attn.q_proj.weight", {query_size, hidden});
  add("self_attn.k_proj.weight", {key_value_size, hidden});
  add("self_attn.v_proj.weight", {key_value_size, hidden});
  if (config.attention_bias) {
    add("self_attn.q_proj.bias", {query_size});
    add("self_attn.k_proj.bias", {key_value_size});
    add("self_attn.v_proj.bias", {key_value_size});
  }
  if (config.qk_norm) {
    add("self_attn.q_norm.weight", {config.head_dim});
    add("self_attn.k_norm.weight", {config.head_dim});
  }
  add("self_attn.o_proj.weight", {hidden, query_size});
  add("post_attention_layernorm.weight", {hidden});
  add("mlp.gate_proj.weight", {config.intermediate_size, hidden});
  add("mlp.up_proj.weight", {config.intermediate_size, hidden});
  add("mlp.down_proj.weight", {hidden, config.intermediate_size});
}

}  // namespace

std::vector<ExpectedTensor> expected_tensors(const LlamaConfig& config) {
  std::vector<ExpectedTensor> tensors;
  tensors.push_back({"model.embed_tokens.weight", {config.vocab_size, config.hidden_size}});
  for (int64_t layer = 0; layer < config.num_layers; ++layer) add_layer(config, layer, tensors);
  tensors.push_back({"model.norm.weight", {config.hidden_size}});
  if (!config.tie_word_embeddings) tensors.push_back({"lm_head.weight", {config.vocab_size, config.hidden_size}});
  return tensors;
}

void check_tensors(const LlamaConfig& config, const std::map<std::string, std::vector<int64_t>>& shapes,
                   const std::filesystem::path& path) {
  const auto refuse = [&](const std::string& reason) { return std::runtime_error(path.string() + ": " + reason); };
  std::set<std::string> expected;
  for (const auto& [name, shape] : expected_tensors(config)) {
    const auto found = shapes.find(name);
    if (found == shapes.end()) throw refuse("tensor '" + name + "' is missing; incomplete download?");
    if (found->second != shape) {
      throw refuse("tensor '" + name + "' has shape " + to_text(found->second) + " but the config implies " +
                   to_text(shape));
    }
    expected.insert(name);
  }
  for (const auto& [name, shape] : shapes) {
    if (!expected.contains(name)) {
      throw refuse("tensor '" + name + "' is no part of a " + config.architecture + " model with " +
                   std::to_string(config.num_layers) + " layers as this program computes it");
    }
  }
}

}  // namespace moebench
