// LLaMA-MoE's clustering of SmolLM2-135M against the released code's (../shared/golden/methods).
#include <cmath>
#include <filesystem>
#include <fstream>

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "harness/evidence/evidence_pass.h"
#include "harness/model/moe_layer.h"
#include "harness/scoring/window_scorer.h"
#include "methods/balanced_k_means.h"
#include "tests/methods/layer_scene.h"
#include "tests/model/smollm2.h"

namespace moebench {
namespace {

const Precision kFp32;
constexpr int64_t kLayers = 30;

class Smollm2LlamaMoeTest : public testing::Test {
 protected:
  void SetUp() override {
    checkpoint_ = open_smollm2();
    if (!checkpoint_) GTEST_SKIP() << "no SmolLM2-135M; scripts/fetch fetches it";
    std::ifstream file(std::filesystem::path(MOEBENCH_SHARED_DIR) / "golden/methods/b_llamamoe_kmeans_smollm2.json");
    if (!file) GTEST_SKIP() << "no reference outputs beside the repository (../shared/golden/methods)";
    released_ = nlohmann::json::parse(file).at("layers");
  }

  const nlohmann::json& released(int64_t layer) const { return released_.at(std::to_string(layer)); }

  // The experts with the oracle's choice of six, each with weight 1: of the first five blocks of WikiText-2's test.
  double oracle_perplexity(Conversion conversion) const {
    for (LayerConversion& layer : conversion.layers) {
      layer.top_k = 6;
      layer.rule = {};
      layer.router = {.kind = RouterKind::kOracle};
    }
    const at::NoGradGuard no_grad;
    LlamaModel model = LlamaModel::load(*checkpoint_, kFp32);
    apply_conversion(conversion, model);
    std::vector<ScoreRequest> requests;
    for (const std::vector<int64_t>& block : read_wikitext2_blocks(2048, 5)) requests.push_back({.ids = block});
    double sum = 0;
    for (const TokenScores& scores : score(model, requests)) sum -= scores.sum() / 2047;
    const double perplexity = std::exp(sum / 5);
    RecordProperty("perplexity", std::to_string(perplexity));
    return perplexity;
  }

  std::unique_ptr<Checkpoint> checkpoint_;

 private:
  nlohmann::json released_;
};

// Rows of SmolLM2 have little structure: any balanced split is within 2 % of the best one, and local optima are many.
TEST_F(Smollm2LlamaMoeTest, InertiaOfEveryLayerIsTheReleasedCodes) {
  for (int64_t layer = 0; layer < kLayers; ++layer) {
    const at::Tensor rows = LlamaLayer::load(*checkpoint_, layer, kFp32).dense_weights().up_proj;
    const BalancedClusters clusters = balanced_k_means(rows / rows.norm(2, {1}, true), {.num_clusters = 8});
    EXPECT_LE(clusters.inertia, 1.001 * released(layer).at("inertia").get<double>()) << "layer " << layer;
  }
}

// The stored perplexity, 51.399, was made with bf16 products.
TEST_F(Smollm2LlamaMoeTest, ReleasedClustersGiveTheReleasedPerplexity) {
  Conversion conversion;
  for (int64_t layer = 0; layer < kLayers; ++layer) {
    const at::Tensor labels = at::tensor(released(layer).at("labels").get<std::vector<int64_t>>(), at::kLong);
    LayerConversion& converted = conversion.layers.emplace_back();
    for (int64_t expert = 0; expert < 8; ++expert) {
      converted.experts.push_back({.neurons = labels.eq(expert).nonzero().squeeze(1)});
    }
  }
  EXPECT_NEAR(oracle_perplexity(std::move(conversion)), 51.399, 0.02 * 51.399);
}

TEST_F(Smollm2LlamaMoeTest, OurClustersReachTheReleasedPerplexity) {
  const auto converter = make_converter("llama_moe", {{"split", "clustering"}});
  Conversion conversion =
      convert_all(*checkpoint_, kFp32, nullptr, {{.converter = converter.get(), .shape = {0, 6, 8, 192}}}).front();
  RecordProperty("convert seconds", conversion.metadata.at("seconds").at("convert").dump());
  EXPECT_NEAR(oracle_perplexity(std::move(conversion)), 51.399, 0.03 * 51.399);
}

}  // namespace
}  // namespace moebench
