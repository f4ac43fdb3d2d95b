// SmolLM2-135M and its reference outputs, where they are present. Absent ones are for GTEST_SKIP.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "harness/checkpoint/checkpoint.h"

namespace moebench {

// Null if scripts/fetch did not fetch it.
std::unique_ptr<Checkpoint> open_smollm2();

// MOEBENCH_SHARED_DIR/golden/smollm2/<name>; null if it is missing.
nlohmann::json read_smollm2_golden(const std::string& name);

// The first block_size * num_blocks ids of WikiText-2's test text, tokenised once as a whole; empty if they are
// missing.
std::vector<std::vector<int64_t>> read_wikitext2_blocks(int64_t block_size, int64_t num_blocks);

}  // namespace moebench
