#include "harness/checkpoint/gguf_layout.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include <ATen/ATen.h>

namespace moebench {
namespace {

using NamePair = std::pair<std::string_view, std::string_view>;  // GGUF, Hugging Face

constexpr std::array kModelNames = {
    NamePair{"token_embd.weight", "model.embed_tokens.weight"},
    NamePair{"output_norm.weight", "model.norm.weight"},
    NamePair{"output.weight", "lm_head.weight"},
};

// After "blk.{layer}." and "model.layers.{layer}.".
constexpr std::array kLayerNames = {
    NamePair{"attn_norm.weight", "input_layernorm.weight"},
    NamePair{"attn_q.weight", "self_attn.q_proj.weight"},
    NamePair{"attn_k.weight", "self_attn.k_proj.weight"},
    NamePair{"attn_v.weight", "self_attn.v_proj.weight"},
    NamePair{"attn_q.bias", "self_attn.q_proj.bias"},
    NamePair{"attn_k.bias", "self_attn.k_proj.bias"},
    NamePair{"attn_v.bias", "self_attn.v_proj.bias"},
    NamePair{"attn_q_norm.weight", "self_attn.q_norm.weight"},
    NamePair{"attn_k_norm.weight", "self_attn.k_norm.weight"},
    NamePair{"attn_output.weight", "self_attn.o_proj.weight"},
    NamePair{"ffn_norm.weight", "post_attention_layernorm.weight"},
    NamePair{"ffn_gate.weight", "mlp.gate_proj.weight"},
    NamePair{"ffn_up.weight", "mlp.up_proj.weight"},
    NamePair{"ffn_down.weight", "mlp.down_proj.weight"},
};

std::optional<std::string> translate(const auto& names, std::string_view gguf_name) {
  const auto found =
      std::find_if(names.begin(), names.end(), [&](const NamePair& pair) { return pair.first == gguf_name; });
  if (found == names.end()) return std::nullopt;
  return std::string(found->second);
}

}  // namespace

std::optional<std::string> hugging_face_name(std::string_view gguf_name) {
  constexpr std::string_view kLayerPrefix = "blk.";
  if (!gguf_name.starts_with(kLayerPrefix)) return translate(kModelNames, gguf_name);
  const std::string_view rest = gguf_name.substr(kLayerPrefix.size());
  const size_t dot = rest.find('.');
  if (dot == std::string_view::npos || dot == 0) return std::nullopt;
  const std::string_view layer = rest.substr(0, dot);
  if (!std::all_of(layer.begin(), layer.end(), [](unsigned char c) { return std::isdigit(c); })) return std::nullopt;
  const auto name = translate(kLayerNames, rest.substr(dot + 1));
  if (!name) return std::nullopt;
  return "model.layers." + std::string(layer) + "." + *name;
}

at::Tensor to_half_split_rows(const at::Tensor& projection, int64_t num_heads) {
  const int64_t pairs = projection.size(0) / num_heads / 2;
  return projection.reshape({num_heads, pairs, 2, -1}).transpose(1, 2).reshape(projection.sizes());
}

}  // namespace moebench
