#include "harness/checkpoint/llama_config.h"

#include <cmath>
#include <stdexcept>

namespace moebench {
namespace {

class Checker {
 public:
  Checker(const std::filesystem::path& file, const std::map<std::string, std::string>& names)
      : file_(file), names_(names) {}

  std::string name(const std::string& field) const {
    const auto found = names_.find(field);
    return found == names_.end() ? field : found->second;
  }

  void in_range(const char* field, int64_t value, int64_t largest) const {
    if (value < 1 || value > largest) {
      refuse(name(field) + " is " + std::to_string(value) + ", not between 1 and " + std::to_string(largest));
    }
  }

  void positive(const char* field, double value) const {
    if (!std::isfinite(value) || value <= 0) refuse(name(field) + " must be a positive number");
  }

  [[noreturn]] void refuse(const std::string& reason) const {
    throw std::runtime_error(file_.string() + ": " + reason);
  }

 private:
  const std::filesystem::path& file_;
  const std::map<std::string, std::string>& names_;
};

}  // namespace

void check_config(const LlamaConfig& config, const std::filesystem::path& file,
                  const std::map<std::string, std::string>& names) {
  // Far above any real model, and low enough that products of two stay far below 2^63.
  constexpr int64_t kLargestSize = int64_t{1} << 24;
  const Checker check(file, names);
  check.in_range("hidden_size", config.hidden_size, kLargestSize);
  check.in_range("intermediate_size", config.intermediate_size, kLargestSize);
  check.in_range("num_hidden_layers", config.num_layers, 4096);
  check.in_range("num_attention_heads", config.num_attention_heads, 65536);
  check.in_range("num_key_value_heads", config.num_key_value_heads, 65536);
  check.in_range("head_dim", config.head_dim, 65536);
  check.in_range("vocab_size", config.vocab_size, kLargestSize);
  check.in_range("max_position_embeddings", config.max_position_embeddings, int64_t{1} << 40);
  if (config.sliding_window) check.in_range("sliding_window", *config.sliding_window, int64_t{1} << 40);
  check.positive("rms_norm_eps", config.rms_norm_eps);
  check.positive("rope_theta", config.rope_theta);
  if (config.num_attention_heads % config.num_key_value_heads != 0) {
    check.refuse(check.name("num_attention_heads") + " = " + std::to_string(config.num_attention_heads) +
                 " is no multiple of " + check.name("num_key_value_heads") + " = " +
                 std::to_string(config.num_key_value_heads));
  }
  if (config.head_dim % 2 != 0) {
    check.refuse(check.name("head_dim") + " = " + std::to_string(config.head_dim) +
                 " is odd; rotary embedding needs pairs");
  }
  if (!config.rope_scaling) return;
  const RopeScaling& scaling = *config.rope_scaling;
  check.positive("rope_scaling.factor", scaling.factor);
  check.positive("rope_scaling.low_freq_factor", scaling.low_freq_factor);
  check.in_range("rope_scaling.original_max_position_embeddings", scaling.original_max_position_embeddings,
                 int64_t{1} << 40);
  if (!(scaling.high_freq_factor > scaling.low_freq_factor) || !std::isfinite(scaling.high_freq_factor)) {
    check.refuse(check.name("rope_scaling.high_freq_factor") + " must be above low_freq_factor");
  }
}

}  // namespace moebench
