// A GGUF file as a Checkpoint.
#pragma once

#include "harness/checkpoint/checkpoint.h"

namespace moebench {

std::unique_ptr<Checkpoint> open_gguf_checkpoint(const std::filesystem::path& path);

}  // namespace moebench
