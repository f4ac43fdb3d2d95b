// LlamaConfig from a Hugging Face config.json, with transformers' defaults.
#include <algorithm>
#include <map>
#include <stdexcept>

#include <nlohmann/json.hpp>

#include "harness/checkpoint/llama_config.h"
#include "harness/checkpoint/untrusted_json.h"

namespace moebench {
namespace {

class ConfigReader {
 public:
  explicit ConfigReader(const std::filesystem::path& path) : path_(path), json_(read_json_object(path)) {}

  LlamaConfig read() const {
    LlamaConfig config;
    config.architecture = read_architecture();
    refuse_what_is_not_computed();
    config.hidden_size = integer(json_, "hidden_size");
    config.intermediate_size = integer(json_, "intermediate_size");
    config.num_layers = integer(json_, "num_hidden_layers");
    config.num_attention_heads = integer(json_, "num_attention_heads");
    config.num_key_value_heads = integer(json_, "num_key_value_heads", config.num_attention_heads);
    config.vocab_size = integer(json_, "vocab_size");
    config.max_position_embeddings = integer(json_, "max_position_embeddings");
    config.rms_norm_eps = number(json_, "rms_norm_eps", 1e-6);
    config.tie_word_embeddings = boolean("tie_word_embeddings", false);
    config.attention_bias = config.architecture == "Qwen2ForCausalLM" ||
                            (config.architecture != "MistralForCausalLM" && boolean("attention_bias", false));
    config.qk_norm = config.architecture == "Qwen3ForCausalLM";
    const int64_t even_share = config.hidden_size / std::max<int64_t>(config.num_attention_heads, 1);
    config.head_dim = integer(json_, "head_dim", config.architecture == "Qwen3ForCausalLM" ? 128 : even_share);
    config.sliding_window = read_sliding_window(config);
    read_rope(config);
    std::map<std::string, std::string> names;
    for (const char* field : {"factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"}) {
      names[std::string("rope_scaling.") + field] = std::string(rope_field()) + "." + field;
    }
    check_config(config, path_, names);
    return config;
  }

 private:
  [[noreturn]] void refuse(const std::string& reason) const {
    throw std::runtime_error(path_.string() + ": " + reason);
  }

  // Null and missing mean the same in these files.
  static const nlohmann::json* find(const nlohmann::json& object, const char* field) {
    const auto found = object.find(field);
    return found == object.end() || found->is_null() ? nullptr : &*found;
  }

  // "hidden_size", "rope_scaling.factor".
  std::string name(const nlohmann::json& object, const char* field) const {
    return (&object == &json_ ? "" : std::string(rope_field()) + ".") + field;
  }

  int64_t integer(const nlohmann::json& object, const char* field, std::optional<int64_t> otherwise = {}) const {
    const nlohmann::json* value = find(object, field);
    if (value == nullptr && otherwise) return *otherwise;
    if (value == nullptr) refuse(name(object, field) + " is missing");
    const bool too_large = value->is_number_unsigned() && value->get<uint64_t>() > INT64_MAX;
    if (!value->is_number_integer() || too_large) refuse(name(object, field) + " is no whole number: " + value->dump());
    return value->get<int64_t>();
  }

  double number(const nlohmann::json& object, const char* field, std::optional<double> otherwise = {}) const {
    const nlohmann::json* value = find(object, field);
    if (value == nullptr && otherwise) return *otherwise;
    if (value == nullptr) refuse(name(object, field) + " is missing");
    if (!value->is_number()) refuse(name(object, field) + " is no number: " + value->dump());
    return value->get<double>();
  }

  bool boolean(const char* field, bool otherwise) const {
    const nlohmann::json* value = find(json_, field);
    if (value == nullptr) return otherwise;
    if (!value->is_boolean()) refuse(std::string(field) + " is neither true nor false: " + value->dump());
    return value->get<bool>();
  }

  std::string text(const nlohmann::json& object, const char* field, const std::string& otherwise) const {
    const nlohmann::json* value = find(object, field);
    if (value == nullptr) return otherwise;
    if (!value->is_string()) refuse(name(object, field) + " is no text: " + value->dump());
    return value->get<std::string>();
  }

  std::string read_architecture() const {
    const nlohmann::json* names = find(json_, "architectures");
    if (names == nullptr || !names->is_array() || names->size() != 1 || !names->front().is_string()) {
      refuse("architectures must name one architecture");
    }
    for (const char* known : {"LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM"}) {
      if (names->front() == known) return known;
    }
    refuse("architecture " + names->front().dump() +
           " is not read; known: LlamaForCausalLM MistralForCausalLM Qwen2ForCausalLM Qwen3ForCausalLM");
  }

  void refuse_what_is_not_computed() const {
    if (boolean("mlp_bias", false)) refuse("mlp_bias = true is not supported");
    if (find(json_, "quantization_config") != nullptr) {
      refuse("quantization_config: quantised safetensors are not read; give F32, F16 or BF16 weights, or a GGUF file");
    }
    const std::string activation = text(json_, "hidden_act", "silu");
    if (activation != "silu" && activation != "swish")
      refuse("hidden_act = '" + activation + "' is not supported; known: silu");
    if (number(json_, "partial_rotary_factor", 1) != 1) refuse("partial_rotary_factor other than 1 is not supported");
  }

  // Mistral: sliding_window says it all. Qwen: only with use_sliding_window, and perhaps not in every layer.
  std::optional<int64_t> read_sliding_window(const LlamaConfig& config) const {
    if (config.architecture == "LlamaForCausalLM" || find(json_, "sliding_window") == nullptr) return std::nullopt;
    const int64_t window = integer(json_, "sliding_window");
    if (config.architecture == "MistralForCausalLM") return window;
    if (!boolean("use_sliding_window", false)) return std::nullopt;
    const int64_t full_layers = layers_with_full_attention(config);
    if (full_layers == config.num_layers) return std::nullopt;
    if (full_layers != 0)
      refuse("a sliding window in some layers only (max_window_layers, layer_types) is not supported");
    return window;
  }

  int64_t layers_with_full_attention(const LlamaConfig& config) const {
    const nlohmann::json* types = find(json_, "layer_types");
    if (types == nullptr) return std::min(integer(json_, "max_window_layers", 28), config.num_layers);
    if (!types->is_array() || static_cast<int64_t>(types->size()) != config.num_layers) {
      refuse("layer_types must name the type of each of the " + std::to_string(config.num_layers) + " layers");
    }
    const auto full_layers = std::count(types->begin(), types->end(), "full_attention");
    if (full_layers + std::count(types->begin(), types->end(), "sliding_attention") != config.num_layers) {
      refuse("layer_types other than full_attention and sliding_attention are not supported");
    }
    return full_layers;
  }

  // transformers 5 puts rope_theta and the scaling into rope_parameters; before, they were rope_theta and rope_scaling.
  const char* rope_field() const {
    return find(json_, "rope_parameters") != nullptr ? "rope_parameters" : "rope_scaling";
  }

  void read_rope(LlamaConfig& config) const {
    const char* field = rope_field();
    const nlohmann::json* parameters = find(json_, field);
    config.rope_theta = number(json_, "rope_theta", 10000);
    if (parameters == nullptr) return;
    if (!parameters->is_object()) refuse(std::string(field) + " is no object");
    config.rope_theta = number(*parameters, "rope_theta", config.rope_theta);
    const std::string type = text(*parameters, "rope_type", text(*parameters, "type", "default"));
    if (type == "default") return;
    if (type != "llama3")
      refuse(std::string(field) + ".rope_type '" + type + "' is not supported; known: default llama3");
    RopeScaling scaling;
    scaling.factor = number(*parameters, "factor");
    scaling.low_freq_factor = number(*parameters, "low_freq_factor");
    scaling.high_freq_factor = number(*parameters, "high_freq_factor");
    scaling.original_max_position_embeddings = integer(*parameters, "original_max_position_embeddings");
    config.rope_scaling = scaling;
  }

  const std::filesystem::path& path_;
  nlohmann::json json_;
};

}  // namespace

LlamaConfig read_hf_config(const std::filesystem::path& config_json) { return ConfigReader(config_json).read(); }

}  // namespace moebench
