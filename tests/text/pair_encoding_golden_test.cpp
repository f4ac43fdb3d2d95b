// Every request that golden/smollm2 stores with its text: the ids that lm-evaluation-harness fed to SmolLM2.
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "harness/checkpoint/checkpoint.h"
#include "harness/text/pair_encoding.h"

namespace moebench {
namespace {

TEST(PairEncodingGoldenTest, EqualsLmEvaluationHarness) {
  std::ifstream file(std::filesystem::path(MOEBENCH_SHARED_DIR) / "golden/smollm2/smollm2_lm_eval.json");
  if (!file) GTEST_SKIP() << "golden/smollm2 is missing";
  std::unique_ptr<Tokenizer> tokenizer;
  try {
    tokenizer = Tokenizer::load(resolve_model_path("smollm2-135m"));
  } catch (const std::exception&) {
    GTEST_SKIP() << "SmolLM2-135M is missing; run scripts/fetch smollm2-135m";
  }
  int compared = 0;
  const nlohmann::json reference = nlohmann::json::parse(file);
  for (const auto& [name, job] : reference["jobs"].items()) {
    for (const nlohmann::json& item : job["items"]) {
      for (const nlohmann::json& request : item["requests"]) {
        if (!request.contains("ids")) continue;
        const nlohmann::json& owner = request.contains("context") ? request : item;
        const EncodedPair pair =
            encode_pair(*tokenizer, owner["context"].get<std::string>(), request["continuation"].get<std::string>());
        EXPECT_EQ(pair.ids, request["ids"].get<std::vector<int64_t>>()) << name;
        EXPECT_EQ(pair.num_context, owner["n_context"].get<int64_t>()) << name;
        EXPECT_FALSE(pair.was_swallowed);
        ++compared;
      }
    }
  }
  EXPECT_GE(compared, 100);
}

}  // namespace
}  // namespace moebench
