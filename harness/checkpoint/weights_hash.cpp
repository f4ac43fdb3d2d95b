#include "harness/checkpoint/weights_hash.h"

#include <ATen/Parallel.h>
#include <nlohmann/json.hpp>

#include "harness/checkpoint/mapped_file.h"
#include "harness/content_hash.h"

namespace moebench {
namespace {

nlohmann::json to_json(const LlamaConfig& config) {
  nlohmann::json json = {{"architecture", config.architecture},
                         {"head_dim", config.head_dim},
                         {"num_attention_heads", config.num_attention_heads},
                         {"rms_norm_eps", config.rms_norm_eps},
                         {"rope_theta", config.rope_theta},
                         {"sliding_window", config.sliding_window.value_or(0)}};
  if (config.rope_scaling) {
    json["rope_scaling"] = {config.rope_scaling->factor, config.rope_scaling->low_freq_factor,
                            config.rope_scaling->high_freq_factor,
                            config.rope_scaling->original_max_position_embeddings};
  }
  return json;
}

}  // namespace

std::string weights_hash(const LlamaConfig& config, const std::vector<StoredTensor>& tensors) {
  std::vector<std::string> hashes(tensors.size());
  at::parallel_for(0, static_cast<int64_t>(tensors.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      hashes[i] = content_hash(tensors[i].bytes);
      release_pages(tensors[i].bytes);
    }
  });
  nlohmann::json identity = {{"config", to_json(config)}, {"tensors", nlohmann::json::array()}};
  for (size_t i = 0; i < tensors.size(); ++i) {
    identity["tensors"].push_back({tensors[i].name, tensors[i].type, tensors[i].shape, hashes[i]});
  }
  return content_hash(identity);
}

}  // namespace moebench
