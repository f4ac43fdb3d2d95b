// LlamaConfig from GGUF metadata; keys as in llama.cpp's llama-arch.cpp.
#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numbers>
#include <stdexcept>

#include <ATen/ATen.h>

#include "harness/checkpoint/gguf.h"
#include "harness/checkpoint/llama_config.h"

namespace moebench {
namespace {

constexpr std::array<std::string_view, 3> kArchitectures = {"llama", "qwen2", "qwen3"};

class Metadata {
 public:
  explicit Metadata(const GgufFile& file)
      : file_(file), architecture_(file.find_string("general.architecture").value_or("")) {}

  const std::string& architecture() const { return architecture_; }
  std::string key(std::string_view name) const { return architecture_ + "." + std::string(name); }

  // What check_config's fields are called here.
  std::map<std::string, std::string> field_names() const {
    return {{"hidden_size", key("embedding_length")},
            {"intermediate_size", key("feed_forward_length")},
            {"num_hidden_layers", key("block_count")},
            {"num_attention_heads", key("attention.head_count")},
            {"num_key_value_heads", key("attention.head_count_kv")},
            {"head_dim", key("attention.key_length")},
            {"vocab_size", "the number of rows of token_embd.weight"},
            {"max_position_embeddings", key("context_length")},
            {"sliding_window", key("attention.sliding_window")},
            {"rms_norm_eps", key("attention.layer_norm_rms_epsilon")},
            {"rope_theta", key("rope.freq_base")},
            {"rope_scaling.factor", "the last element of rope_freqs.weight"}};
  }

  std::optional<int64_t> find_integer(std::string_view name) const { return file_.find_integer(key(name)); }

  int64_t integer(std::string_view name) const {
    const auto value = find_integer(name);
    if (!value) refuse("metadata '" + key(name) + "' is missing");
    return *value;
  }

  double number(std::string_view name, std::optional<double> otherwise = std::nullopt) const {
    const auto value = file_.find_number(key(name));
    if (!value && !otherwise) refuse("metadata '" + key(name) + "' is missing");
    return value.value_or(otherwise.value_or(0));
  }

  [[noreturn]] void refuse(const std::string& reason) const {
    throw std::runtime_error(file_.path().string() + ": " + reason);
  }

 private:
  const GgufFile& file_;
  std::string architecture_;
};

void refuse_what_is_not_read(const GgufFile& file, const Metadata& metadata) {
  const std::string& architecture = metadata.architecture();
  if (architecture.empty()) metadata.refuse("metadata 'general.architecture' is missing");
  if (std::find(kArchitectures.begin(), kArchitectures.end(), architecture) == kArchitectures.end()) {
    metadata.refuse("architecture '" + architecture + "' is not read; known: llama qwen2 qwen3");
  }
  if (metadata.find_integer("expert_count").value_or(0) > 0) {
    metadata.refuse("is a mixture of experts already (" + metadata.key("expert_count") + "); give a dense model");
  }
  const std::string scaling_key = metadata.key("rope.scaling.type");
  const auto scaling = file.find_string(scaling_key).value_or("none");
  if (scaling != "none") {
    metadata.refuse("metadata '" + scaling_key + "' is '" + std::string(scaling) +
                    "', which is not read; known: none, or Llama-3 scaling as rope_freqs.weight");
  }
}

// Llama-3 scaling divides slow frequencies by factor, keeps fast ones and blends in between.
double llama3_divisor(double frequency, const RopeScaling& scaling) {
  const double turns =
      static_cast<double>(scaling.original_max_position_embeddings) * frequency / (2 * std::numbers::pi);
  const double smooth =
      std::clamp((turns - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor), 0.0, 1.0);
  return 1 / ((1 - smooth) / scaling.factor + smooth);
}

// GGUF stores Llama-3 scaling as the divisor of each frequency. All published models use low_freq_factor 1,
// high_freq_factor 4 and 8192 positions; only the factor differs, and it is the slowest frequency's divisor.
std::optional<RopeScaling> rope_scaling_of(const GgufFile& file, const Metadata& metadata, const LlamaConfig& config) {
  const GgufTensor* tensor = file.find_tensor("rope_freqs.weight");
  if (tensor == nullptr) return std::nullopt;
  const int64_t pairs = config.head_dim / 2;
  if (tensor->shape != std::vector<int64_t>{pairs}) {
    metadata.refuse("tensor 'rope_freqs.weight' must have head_dim / 2 = " + std::to_string(pairs) + " elements");
  }
  const at::Tensor divisors = tensor->load(at::kFloat);
  const auto divisor = divisors.accessor<float, 1>();
  RopeScaling scaling;
  scaling.factor = divisor[pairs - 1];
  for (int64_t pair = 0; pair < pairs; ++pair) {
    const double frequency =
        std::pow(config.rope_theta, -2.0 * static_cast<double>(pair) / static_cast<double>(config.head_dim));
    const double expected = llama3_divisor(frequency, scaling);
    if (!(std::abs(divisor[pair] - expected) <= 1e-4 * expected)) {
      metadata.refuse("tensor 'rope_freqs.weight' is not Llama-3 scaling (element " + std::to_string(pair) + " is " +
                      std::to_string(divisor[pair]) + ", expected " + std::to_string(expected) +
                      "); other RoPE scaling is not read");
    }
  }
  if (scaling.factor == 1) return std::nullopt;
  return scaling;
}

int64_t vocab_size_of(const GgufFile& file, const Metadata& metadata) {
  if (const GgufTensor* embedding = file.find_tensor("token_embd.weight")) return embedding->shape.front();
  return metadata.integer("vocab_size");
}

}  // namespace

LlamaConfig read_gguf_config(const GgufFile& file) {
  const Metadata metadata(file);
  refuse_what_is_not_read(file, metadata);
  LlamaConfig config;
  config.architecture = metadata.architecture();
  config.hidden_size = metadata.integer("embedding_length");
  config.intermediate_size = metadata.integer("feed_forward_length");
  config.num_layers = metadata.integer("block_count");
  config.num_attention_heads = metadata.integer("attention.head_count");
  config.num_key_value_heads = metadata.find_integer("attention.head_count_kv").value_or(config.num_attention_heads);
  config.vocab_size = vocab_size_of(file, metadata);
  config.max_position_embeddings = metadata.integer("context_length");
  config.rms_norm_eps = metadata.number("attention.layer_norm_rms_epsilon");
  config.rope_theta = metadata.number("rope.freq_base", 10000);
  config.sliding_window = metadata.find_integer("attention.sliding_window");
  config.tie_word_embeddings = file.find_tensor("output.weight") == nullptr;
  config.attention_bias = file.find_tensor("blk.0.attn_q.bias") != nullptr;
  config.qk_norm = config.architecture == "qwen3";

  const auto head_dim = metadata.find_integer("attention.key_length");
  config.head_dim = head_dim.value_or(config.hidden_size / std::max<int64_t>(config.num_attention_heads, 1));
  check_config(config, file.path(), metadata.field_names());
  if (metadata.find_integer("attention.value_length").value_or(config.head_dim) != config.head_dim) {
    metadata.refuse("metadata '" + metadata.key("attention.value_length") + "' must equal attention.key_length");
  }
  if (metadata.find_integer("rope.dimension_count").value_or(config.head_dim) != config.head_dim) {
    metadata.refuse("metadata '" + metadata.key("rope.dimension_count") + "' must equal the head's " +
                    std::to_string(config.head_dim) + " dimensions; partial rotary embedding is not read");
  }
  config.rope_scaling = rope_scaling_of(file, metadata, config);
  check_config(config, file.path(), metadata.field_names());
  return config;
}

}  // namespace moebench
