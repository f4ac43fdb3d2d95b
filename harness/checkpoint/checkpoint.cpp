#include "harness/checkpoint/checkpoint.h"

#include <stdexcept>

#include "harness/checkpoint/gguf_checkpoint.h"

namespace moebench {

std::unique_ptr<Checkpoint> open_checkpoint(const std::filesystem::path& path) {
  if (path.extension() == ".gguf") return open_gguf_checkpoint(path);
  throw std::runtime_error(path.string() + ": is not a .gguf file; Hugging Face directories are not read yet");
}

}  // namespace moebench
