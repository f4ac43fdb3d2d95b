#include "harness/checkpoint/gguf_checkpoint.h"

#include <map>
#include <mutex>
#include <stdexcept>

#include "harness/checkpoint/expected_tensors.h"
#include "harness/checkpoint/gguf.h"
#include "harness/checkpoint/gguf_layout.h"
#include "harness/checkpoint/mapped_file.h"
#include "harness/checkpoint/weights_hash.h"

namespace moebench {
namespace {

class GgufCheckpoint : public Checkpoint {
 public:
  explicit GgufCheckpoint(const std::filesystem::path& path) : file_(path) {
    path_ = path;
    config_ = read_gguf_config(file_);
    std::map<std::string, std::vector<int64_t>> shapes;
    for (const auto& [gguf_name, tensor] : file_.tensors()) {
      if (gguf_name == "rope_freqs.weight") continue;  // in the config already
      const auto name = hugging_face_name(gguf_name);
      if (!name) throw std::runtime_error(path.string() + ": tensor '" + gguf_name + "' is of a kind that is not read");
      shapes[*name] = tensor.shape;
      tensors_[*name] = &tensor;
    }
    check_tensors(config_, shapes, path);
  }

  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const auto& [name, tensor] : tensors_) names.push_back(name);
    return names;
  }

  bool contains(const std::string& name) const override { return tensors_.contains(name); }

  at::Tensor load(const std::string& name, at::ScalarType dtype) const override {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) throw std::runtime_error(path_.string() + ": tensor '" + name + "' is missing");
    const at::Tensor tensor = found->second->load(dtype);
    release_pages(found->second->bytes);
    const int64_t num_heads = adjacent_pair_heads(name);
    return num_heads == 0 ? tensor : to_half_split_rows(tensor, num_heads);
  }

  std::string content_hash() const override {
    std::call_once(hash_once_, [&] {
      std::vector<StoredTensor> stored;
      for (const auto& [name, tensor] : tensors_) {
        stored.push_back({name, std::string(block_layout(tensor->type).name), tensor->shape, tensor->bytes});
      }
      hash_ = weights_hash(config_, stored);
    });
    return hash_;
  }

 private:
  // Heads of a tensor that is stored for adjacent pairs; 0 for every other tensor.
  int64_t adjacent_pair_heads(const std::string& name) const {
    if (config_.architecture != "llama") return 0;
    if (name.find(".self_attn.q_proj.") != std::string::npos) return config_.num_attention_heads;
    if (name.find(".self_attn.k_proj.") != std::string::npos) return config_.num_key_value_heads;
    return 0;
  }

  GgufFile file_;
  std::map<std::string, const GgufTensor*> tensors_;  // under Hugging Face names
  mutable std::once_flag hash_once_;
  mutable std::string hash_;
};

}  // namespace

std::unique_ptr<Checkpoint> open_gguf_checkpoint(const std::filesystem::path& path) {
  return std::make_unique<GgufCheckpoint>(path);
}

}  // namespace moebench
