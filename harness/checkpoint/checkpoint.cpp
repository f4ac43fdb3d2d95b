#include "harness/checkpoint/checkpoint.h"

#include <stdexcept>

#include "harness/checkpoint/gguf_checkpoint.h"
#include "harness/checkpoint/hf_checkpoint.h"
#include "harness/checkpoint/mapped_file.h"

namespace moebench {

std::unique_ptr<Checkpoint> open_checkpoint(const std::filesystem::path& path) {
  if (path.extension() == ".gguf") return open_gguf_checkpoint(path);
  if (is_there(path / "config.json")) return open_hf_checkpoint(path);
  throw std::runtime_error(path.string() +
                           ": is no checkpoint; give a Hugging Face directory (config.json with model.safetensors or "
                           "its index) or a .gguf file");
}

}  // namespace moebench
