#include "tests/model/smollm2.h"

#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace moebench {

std::unique_ptr<Checkpoint> open_smollm2() {
  try {
    return open_checkpoint(resolve_model_path("smollm2-135m"));
  } catch (const std::invalid_argument&) {
    return nullptr;
  }
}

nlohmann::json read_smollm2_golden(const std::string& name) {
  std::ifstream file(std::filesystem::path(MOEBENCH_SHARED_DIR) / "golden" / "smollm2" / name);
  return file ? nlohmann::json::parse(file) : nlohmann::json();
}

std::vector<std::vector<int64_t>> read_wikitext2_blocks(int64_t block_size, int64_t num_blocks) {
  std::ifstream file(std::filesystem::path(MOEBENCH_SHARED_DIR) / "golden" / "methods" / "b_eval_ids.bin",
                     std::ios::binary);
  std::vector<uint16_t> ids(block_size * num_blocks);  // the file holds little-endian 16-bit ids
  if (!file.read(reinterpret_cast<char*>(ids.data()), ids.size() * sizeof(uint16_t))) return {};
  std::vector<std::vector<int64_t>> blocks;
  for (int64_t block = 0; block < num_blocks; ++block) {
    blocks.emplace_back(ids.begin() + block * block_size, ids.begin() + (block + 1) * block_size);
  }
  return blocks;
}

}  // namespace moebench
