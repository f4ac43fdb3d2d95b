// The one model family, as its checkpoints describe it: Llama, Mistral, Qwen2/2.5, Qwen3 are settings of it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

namespace moebench {

class GgufFile;

// Llama-3 RoPE scaling (transformers modeling_rope_utils, "llama3").
struct RopeScaling {
  double factor = 8;
  double low_freq_factor = 1;
  double high_freq_factor = 4;
  int64_t original_max_position_embeddings = 8192;
};

struct LlamaConfig {
  std::string architecture;  // as the checkpoint says: "LlamaForCausalLM", "Qwen2ForCausalLM", GGUF "llama" …
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t num_layers = 0;
  int64_t num_attention_heads = 0;
  int64_t num_key_value_heads = 0;
  int64_t head_dim = 0;
  int64_t vocab_size = 0;
  int64_t max_position_embeddings = 0;
  double rms_norm_eps = 1e-5;
  double rope_theta = 10000;
  std::optional<RopeScaling> rope_scaling;
  std::optional<int64_t> sliding_window;  // tokens a query sees, itself included
  bool tie_word_embeddings = false;
  bool attention_bias = false;  // on q, k, v
  bool qk_norm = false;         // RMSNorm per head on q and k, before RoPE
};

// Throw std::runtime_error naming file and field: a missing field, an unsupported architecture (by name), a size
// that is not positive or out of bounds, heads that do not divide.
LlamaConfig read_hf_config(const std::filesystem::path& config_json);
LlamaConfig read_gguf_config(const GgufFile& file);

// What both readers check last: sizes within bounds, heads that divide. names: what the file calls the fields, where
// that is not their name in config.json ("num_hidden_layers", "rope_scaling.factor").
void check_config(const LlamaConfig& config, const std::filesystem::path& file,
                  const std::map<std::string, std::string>& names = {});

}  // namespace moebench
