#include "harness/checkpoint/hf_checkpoint.h"

#include <map>
#include <mutex>
#include <stdexcept>
#include <utility>

#include <ATen/ATen.h>

#include "harness/checkpoint/expected_tensors.h"
#include "harness/checkpoint/mapped_file.h"
#include "harness/checkpoint/safetensors.h"
#include "harness/checkpoint/safetensors_header.h"
#include "harness/checkpoint/untrusted_json.h"
#include "harness/checkpoint/weights_hash.h"

namespace moebench {
namespace {

constexpr const char* kEmbedding = "model.embed_tokens.weight";
constexpr const char* kHead = "lm_head.weight";

// tensor → shard, as model.safetensors.index.json maps them. Shards stand beside the index, nowhere else.
std::map<std::string, std::string> read_weight_map(const std::filesystem::path& index) {
  const nlohmann::json json = read_json_object(index);
  const auto refuse = [&](const std::string& reason) { return std::runtime_error(index.string() + ": " + reason); };
  const auto found = json.find("weight_map");
  if (found == json.end() || !found->is_object() || found->empty()) throw refuse("weight_map is missing or empty");
  std::map<std::string, std::string> weight_map;
  for (const auto& [name, shard] : found->items()) {
    const std::string file = shard.is_string() ? shard.get<std::string>() : "";
    if (file.find_first_of("/\\") != std::string::npos || !file.ends_with(".safetensors")) {
      throw refuse("weight_map of " + nlohmann::json(name).dump() + " is " + shard.dump() +
                   ", not the name of a .safetensors file in the same folder");
    }
    weight_map.emplace(name, file);
  }
  return weight_map;
}

class HfCheckpoint : public Checkpoint {
 public:
  explicit HfCheckpoint(const std::filesystem::path& folder) {
    path_ = folder;
    config_ = read_hf_config(folder / "config.json");
    open_files();
    drop_what_is_not_used();
    std::map<std::string, std::vector<int64_t>> shapes;
    for (const auto& [name, file] : files_by_tensor_) {
      const at::Tensor view = file->view(name);
      if (!view.is_floating_point() || view.scalar_type() == at::kDouble) {
        throw refuse("tensor '" + name + "' is " + safetensors_dtype_name(view.scalar_type()) +
                     "; weights must be F32, F16 or BF16");
      }
      shapes[name] = view.sizes().vec();
    }
    check_tensors(config_, shapes, folder);
  }

  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const auto& [name, file] : files_by_tensor_) names.push_back(name);
    return names;
  }

  bool contains(const std::string& name) const override { return files_by_tensor_.contains(name); }

  at::Tensor load(const std::string& name, at::ScalarType dtype) const override {
    const auto found = files_by_tensor_.find(name);
    if (found == files_by_tensor_.end()) throw refuse("tensor '" + name + "' is missing");
    const at::Tensor tensor = found->second->view(name).to(dtype, /*non_blocking=*/false, /*copy=*/true);
    release_pages(found->second->bytes(name));
    return tensor;
  }

  std::string content_hash() const override {
    std::call_once(hash_once_, [&] {
      std::vector<StoredTensor> stored;
      for (const auto& [name, file] : files_by_tensor_) {
        const at::Tensor view = file->view(name);
        stored.push_back({name, safetensors_dtype_name(view.scalar_type()), view.sizes().vec(), file->bytes(name)});
      }
      hash_ = weights_hash(config_, stored);
    });
    return hash_;
  }

 private:
  std::runtime_error refuse(const std::string& reason) const {
    return std::runtime_error(path_.string() + ": " + reason);
  }

  void open_files() {
    const auto single = path_ / "model.safetensors", index = path_ / "model.safetensors.index.json";
    if (is_there(single)) {
      const SafetensorsFile& file = files_.emplace("model.safetensors", single).first->second;
      for (const std::string& name : file.names()) files_by_tensor_[name] = &file;
    } else if (is_there(index)) {
      open_shards(index);
    } else if (is_there(path_ / "pytorch_model.bin")) {
      throw refuse("holds pytorch_model.bin, which is not read; convert it to safetensors");
    } else {
      throw refuse("holds neither model.safetensors nor model.safetensors.index.json");
    }
  }

  void open_shards(const std::filesystem::path& index) {
    const auto weight_map = read_weight_map(index);
    for (const auto& [name, shard] : weight_map) {
      if (!is_there(path_ / shard)) {
        throw std::runtime_error(index.string() + ": shard '" + shard + "' is missing; incomplete download?");
      }
      const SafetensorsFile& file = files_.try_emplace(shard, path_ / shard).first->second;
      if (!file.contains(name)) {
        throw std::runtime_error(index.string() + ": tensor '" + name + "' is not in shard '" + shard + "'");
      }
      files_by_tensor_[name] = &file;
    }
    for (const auto& [shard, file] : files_) {
      for (const std::string& name : file.names()) {
        const auto found = weight_map.find(name);
        if (found == weight_map.end() || found->second != shard) {
          throw std::runtime_error(index.string() + ": tensor '" + name + "' of shard '" + shard + "' is not listed");
        }
      }
    }
  }

  // Old exports store the RoPE frequencies, which the config implies. Some store the tied head a second time; if it
  // differs from the embedding it is not tied, whatever the config says (as in transformers 5).
  void drop_what_is_not_used() {
    std::erase_if(files_by_tensor_, [](const auto& entry) { return entry.first.ends_with(".rotary_emb.inv_freq"); });
    if (!config_.tie_word_embeddings || !contains(kHead)) return;
    if (contains(kEmbedding) &&
        files_by_tensor_[kHead]->bytes(kHead) == files_by_tensor_[kEmbedding]->bytes(kEmbedding)) {
      files_by_tensor_.erase(kHead);
    } else {
      config_.tie_word_embeddings = false;
    }
  }

  std::map<std::string, SafetensorsFile> files_;  // by file name
  std::map<std::string, const SafetensorsFile*> files_by_tensor_;
  mutable std::once_flag hash_once_;
  mutable std::string hash_;
};

}  // namespace

std::unique_ptr<Checkpoint> open_hf_checkpoint(const std::filesystem::path& folder) {
  return std::make_unique<HfCheckpoint>(folder);
}

}  // namespace moebench
