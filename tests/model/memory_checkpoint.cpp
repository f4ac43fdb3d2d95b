#include "tests/model/memory_checkpoint.h"

#include <cmath>

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

namespace moebench {

LlamaConfig tiny_llama_config() {
  return {.architecture = "LlamaForCausalLM",
          .hidden_size = 32,
          .intermediate_size = 48,
          .num_layers = 2,
          .num_attention_heads = 4,
          .num_key_value_heads = 2,
          .head_dim = 8,
          .vocab_size = 67,
          .max_position_embeddings = 96,
          .tie_word_embeddings = true};
}

MemoryCheckpoint::MemoryCheckpoint(const LlamaConfig& config, uint64_t seed) {
  config_ = config;
  path_ = "memory";
  at::Generator generator = at::detail::createCPUGenerator(seed);
  const auto weight = [&](const std::string& name, int64_t rows, int64_t columns) {
    tensors_[name] = at::randn({rows, columns}, generator) / std::sqrt(static_cast<double>(columns));
  };
  const auto vector = [&](const std::string& name, int64_t size, double mean) {
    tensors_[name] = mean + 0.2 * at::randn({size}, generator);
  };
  const int64_t query_size = config.num_attention_heads * config.head_dim;
  const int64_t key_size = config.num_key_value_heads * config.head_dim;

  weight("model.embed_tokens.weight", config.vocab_size, config.hidden_size);
  for (int64_t layer = 0; layer < config.num_layers; ++layer) {
    const std::string prefix = "model.layers." + std::to_string(layer) + ".";
    vector(prefix + "input_layernorm.weight", config.hidden_size, 1);
    vector(prefix + "post_attention_layernorm.weight", config.hidden_size, 1);
    weight(prefix + "self_attn.q_proj.weight", query_size, config.hidden_size);
    weight(prefix + "self_attn.k_proj.weight", key_size, config.hidden_size);
    weight(prefix + "self_attn.v_proj.weight", key_size, config.hidden_size);
    weight(prefix + "self_attn.o_proj.weight", config.hidden_size, query_size);
    if (config.attention_bias) {
      vector(prefix + "self_attn.q_proj.bias", query_size, 0);
      vector(prefix + "self_attn.k_proj.bias", key_size, 0);
      vector(prefix + "self_attn.v_proj.bias", key_size, 0);
    }
    if (config.qk_norm) {
      vector(prefix + "self_attn.q_norm.weight", config.head_dim, 1);
      vector(prefix + "self_attn.k_norm.weight", config.head_dim, 1);
    }
    weight(prefix + "mlp.gate_proj.weight", config.intermediate_size, config.hidden_size);
    weight(prefix + "mlp.up_proj.weight", config.intermediate_size, config.hidden_size);
    weight(prefix + "mlp.down_proj.weight", config.hidden_size, config.intermediate_size);
  }
  vector("model.norm.weight", config.hidden_size, 1);
  if (!config.tie_word_embeddings) weight("lm_head.weight", config.vocab_size, config.hidden_size);
}

std::vector<std::string> MemoryCheckpoint::names() const {
  std::vector<std::string> result;
  for (const auto& [name, tensor] : tensors_) result.push_back(name);
  return result;
}

at::Tensor MemoryCheckpoint::load(const std::string& name, at::ScalarType dtype) const {
  return tensors_.at(name).to(dtype, /*non_blocking=*/false, /*copy=*/true);
}

}  // namespace moebench
