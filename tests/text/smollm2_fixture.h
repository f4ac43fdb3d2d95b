// SmolLM2's tokenizer and the goldens made with it; tests are skipped where either is missing.
#pragma once

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "harness/checkpoint/checkpoint.h"
#include "harness/text/tokenizer.h"

namespace moebench {

class SmolLm2Fixture : public testing::Test {
 protected:
  static std::filesystem::path shared(const std::string& name) {
    return std::filesystem::path(MOEBENCH_SHARED_DIR) / name;
  }
  static nlohmann::json read_shared_json(const std::string& name) {
    return nlohmann::json::parse(std::ifstream(shared(name)));
  }

  void SetUp() override {
    const std::filesystem::path golden = shared("golden/smollm2/smollm2_tokens.json");
    if (!std::filesystem::exists(golden)) GTEST_SKIP() << golden << " is missing";
    try {
      model_ = resolve_model_path("smollm2-135m");
    } catch (const std::invalid_argument& error) {
      GTEST_SKIP() << error.what();
    }
    tokenizer_ = Tokenizer::load(model_);
  }

  std::filesystem::path model_;
  std::unique_ptr<Tokenizer> tokenizer_;
};

}  // namespace moebench
