// A Hugging Face directory as a Checkpoint.
#pragma once

#include "harness/checkpoint/checkpoint.h"

namespace moebench {

std::unique_ptr<Checkpoint> open_hf_checkpoint(const std::filesystem::path& folder);

}  // namespace moebench
