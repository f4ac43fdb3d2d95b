#include <limits>
#include <stdexcept>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/evidence/evidence_pass.h"
#include "harness/evidence/neuron_gradients.h"
#include "harness/model/moe_layer.h"
#include "methods/llama_moe_gate.h"
#include "methods/neuron_split.h"
#include "tests/methods/layer_scene.h"
#include "tests/model/memory_checkpoint.h"

namespace moebench {
namespace {

constexpr int64_t kNeurons = 32, kHidden = 8;
const MoeShape kFourExperts{0, 2, 4, 8};

// Neuron i belongs to group i modulo 4.
std::vector<int64_t> group(int64_t index) {
  std::vector<int64_t> neurons;
  for (int64_t neuron = index; neuron < kNeurons; neuron += 4) neurons.push_back(neuron);
  return neurons;
}

std::vector<std::vector<int64_t>> expert_neurons(const LayerConversion& layer) {
  std::vector<std::vector<int64_t>> experts;
  for (const ExpertSpec& expert : layer.experts) {
    const int64_t* first = expert.neurons.const_data_ptr<int64_t>();
    experts.emplace_back(first, first + expert.neurons.numel());
  }
  return experts;
}

auto are_the_groups() { return testing::UnorderedElementsAre(group(0), group(1), group(2), group(3)); }

// Rows of a group point the same way, whatever their length.
at::Tensor grouped_rows() {
  const at::Tensor directions = at::eye(kHidden).narrow(0, 0, 4).repeat({kNeurons / 4, 1});
  return directions * at::linspace(1, 5, kNeurons).unsqueeze(1);
}

MoeShape published_shape(const nlohmann::json& options, double ratio) {
  return make_converter("llama_moe", options)->shape_for(ratio, {.intermediate_size = 1536});
}

TEST(LlamaMoeTest, AllExpertsWithAUniformGateAndScaleEAreDense) {
  const GatedMlpWeights dense = random_mlp(kNeurons, kHidden, 1);
  const at::Tensor hidden = random_windows(1, 20, kHidden, 2).front();
  const auto converter = make_converter("llama_moe", {{"gate", "linear"}, {"score_scale", 4}});
  const LayerConversion layer = convert_layer(*converter, dense, {}, {0, 4, 4, 8});
  EXPECT_TRUE(MoeLayer(dense, layer).forward(hidden).allclose(GatedMlp(dense).forward(hidden), 1e-5, 1e-6));
}

TEST(LlamaMoeTest, ClusteringGroupsRowsOfTheChosenProjectionByDirection) {
  const GatedMlpWeights random = random_mlp(kNeurons, kHidden, 1);
  const GatedMlpWeights dense = {random.gate_proj, grouped_rows(), random.down_proj};
  const GatedMlpWeights swapped = {grouped_rows(), random.up_proj, random.down_proj};
  for (const char* metric : {"l2", "cosine"}) {
    const auto by_up = make_converter("llama_moe", {{"split", "clustering"}, {"metric", metric}});
    EXPECT_THAT(expert_neurons(convert_layer(*by_up, dense, {}, kFourExperts)), are_the_groups());
    const auto by_gate =
        make_converter("llama_moe", {{"split", "clustering"}, {"metric", metric}, {"proj_type", "gate_proj"}});
    EXPECT_THAT(expert_neurons(convert_layer(*by_gate, swapped, {}, kFourExperts)), are_the_groups());
  }
}

TEST(LlamaMoeTest, CoactivationKeepsNeuronsThatAreActiveTogether) {
  // Token t is direction t modulo 4, so that exactly one group is active.
  const GatedMlpWeights dense = {grouped_rows(), grouped_rows(), random_mlp(kNeurons, kHidden, 1).down_proj};
  const std::vector<at::Tensor> windows = {at::eye(kHidden).narrow(0, 0, 4).repeat({5, 1})};
  for (const char* proj_type : {"up_proj", "gate_proj"}) {
    for (const char* kernel : {"l1_norm", "l2_norm"}) {
      const auto converter = make_converter(
          "llama_moe", {{"split", "coactivation"}, {"proj_type", proj_type}, {"kernel", kernel}, {"gate", "cmoe"}});
      EXPECT_THAT(expert_neurons(convert_layer(*converter, dense, windows, kFourExperts)), are_the_groups());
    }
  }
}

TEST(LlamaMoeTest, DomainsAreTheExpertsOfGradientSplits) {
  LlamaConfig config = tiny_llama_config();
  config.intermediate_size = 64;
  const MemoryCheckpoint checkpoint(config);
  CalibrationText text;
  for (uint64_t domain = 0; domain < 4; ++domain) {
    text.domains.push_back("domain " + std::to_string(domain));
    text.windows.push_back(at::randint(67, {2, 20}, at::detail::createCPUGenerator(domain), at::kLong));
  }
  const ImportanceOptions squares{.kernel = ImportanceOptions::Kernel::kL2Norm,
                                  .accumulate = ImportanceOptions::Accumulate::kTotal,
                                  .quantity = ImportanceOptions::Quantity::kFeatureGradient};
  const std::vector<at::Tensor> importance = neuron_importance(checkpoint, {}, text.windows, squares);
  const auto converter = make_converter(
      "llama_moe",
      {{"split", "gradient"}, {"kernel", "l2_norm"}, {"accumulate", "total"}, {"importance", "feature_grad"}});
  const Conversion conversion =
      convert_all(checkpoint, {}, &text, {{.converter = converter.get(), .shape = {0, 2, 4, 16}}}).front();
  for (int64_t layer = 0; layer < 2; ++layer) {
    NeuronLists expected = greedy_split(importance[layer], 16);
    for (std::vector<int64_t>& neurons : expected) std::ranges::sort(neurons);
    EXPECT_EQ(expert_neurons(conversion.layers[layer]), expected);
  }
}

TEST(LlamaMoeTest, ScoreScaleIsTheScriptsOrTheGivenOne) {
  EXPECT_EQ(published_score_scale({0, 2, 16, 1}), 8);
  EXPECT_EQ(published_score_scale({0, 4, 16, 1}), 4);
  EXPECT_EQ(published_score_scale({0, 2, 8, 1}), 4);
  EXPECT_EQ(published_score_scale({1, 1, 8, 1}), 4);  // 7 routed, 1 residual
  const GatedMlpWeights dense = random_mlp(kNeurons, kHidden, 1);
  const auto scale = [&](double option) {
    return convert_layer(*make_converter("llama_moe", {{"score_scale", option}}), dense, {}, kFourExperts).rule.scale;
  };
  EXPECT_EQ(scale(0), 2);
  EXPECT_EQ(scale(1.5), 1.5);
}

TEST(LlamaMoeTest, LayoutsArePublishedOrInEighths) {
  const auto layout = [](const nlohmann::json& options, double ratio) {
    return to_string(published_shape(options, ratio), 1536);
  };
  EXPECT_EQ(layout({}, 0.125), "S0A2E16");
  EXPECT_EQ(layout({}, 0.25), "S0A2E8");
  EXPECT_EQ(layout({}, 0.75), "S0A6E8");
  EXPECT_EQ(layout({{"split", "sharing_inter"}}, 0.25), "S1A1E8");
  EXPECT_EQ(layout({{"split", "sharing_inter"}}, 0.75), "S1A5E8");
  EXPECT_THROW(layout({{"split", "sharing_inter"}}, 0.125), std::invalid_argument);
}

TEST(LlamaMoeTest, ShapesAreCheckedForTheSplit) {
  const LlamaConfig config{.intermediate_size = 64};
  const auto check = [&](const char* split, bool share_neurons, const MoeShape& shape) {
    make_converter("llama_moe", {{"split", split}, {"share_neurons", share_neurons}})->check_shape(shape, config);
  };
  EXPECT_NO_THROW(check("sharing_inner", true, {0, 2, 4, 30}));
  EXPECT_THROW(check("sharing_inner", true, {0, 2, 4, 65}), std::invalid_argument);
  EXPECT_THROW(check("gradient", true, {0, 2, 4, 30}), std::invalid_argument);
  EXPECT_NO_THROW(check("sharing_inter", true, {1, 1, 8, 20}));
  EXPECT_THROW(check("sharing_inter", false, {1, 1, 8, 20}), std::invalid_argument);
  EXPECT_THROW(check("sharing_inter", true, {1, 1, 8, 33}), std::invalid_argument);
  EXPECT_THROW(check("sharing_inter", true, {0, 1, 8, 8}), std::invalid_argument);
  EXPECT_THROW(check("sharing_inter", true, {1, 8, 8, 8}), std::invalid_argument);
  EXPECT_THROW(check("random", true, {1, 1, 8, 8}), std::invalid_argument);
}

TEST(LlamaMoeTest, OptionsOutOfRangeAreRefused) {
  for (const nlohmann::json& options : {nlohmann::json{{"restarts", 0}}, nlohmann::json{{"score_scale", -1}},
                                        nlohmann::json{{"graph_threshold", -1}}}) {
    EXPECT_THROW(make_converter("llama_moe", options), std::invalid_argument) << options;
  }
}

}  // namespace
}  // namespace moebench
