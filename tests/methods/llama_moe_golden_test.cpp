// LLaMA-MoE against the released code's own numbers (../shared/golden/methods). Training mode is the retrainer's.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "harness/model/moe_layer.h"
#include "methods/llama_moe_gate.h"
#include "methods/neuron_split.h"
#include "methods/random_linear.h"
#include "tests/methods/golden_arrays.h"
#include "tests/methods/layer_scene.h"

namespace moebench {
namespace {

class LlamaMoeGolden : public testing::Test {
 protected:
  void SetUp() override {
    arrays_ = GoldenArrays::read("a2_llamamoe");
    if (!arrays_) GTEST_SKIP() << "no reference outputs beside the repository (../shared/golden/methods)";
    dense_ = {array("f_wg"), array("f_wu"), array("f_wd")};
  }

  at::Tensor array(const std::string& name) const { return (*arrays_)[name]; }
  at::Tensor neurons(int64_t label) const { return array("f_labels").eq(label).nonzero().squeeze(1); }

  // Of the first labels.
  std::vector<int64_t> residual_neurons(int64_t num_residual) const {
    const at::Tensor residual = array("f_labels").lt(num_residual).nonzero().squeeze(1);
    return {residual.const_data_ptr<int64_t>(), residual.const_data_ptr<int64_t>() + residual.numel()};
  }

  // The released layer: experts by the stored labels from first on, behind the stored gate.
  LayerConversion stored_layer(int64_t first, const std::string& gate, int64_t top_k, double score_scale) const {
    LayerConversion layer{.top_k = top_k};
    for (int64_t label = first; label < 8; ++label) layer.experts.push_back({.neurons = neurons(label)});
    set_tanh_gate(layer, {0, dense_}, score_scale, layer_generator(0, 0));
    layer.router.tensors = {{"first", array(gate + "_gate0")}, {"second", array(gate + "_gate2")}};
    return layer;
  }

  void expect_output(const LayerConversion& layer, const std::string& stored) const {
    const at::Tensor output = MoeLayer(dense_, layer).forward(array("f_x")), expected = array(stored + "_out");
    EXPECT_LT((output - expected).abs().max().item<double>(), 1e-5 * (1 + expected.abs().max().item<double>()))
        << stored;
  }

  std::optional<GoldenArrays> arrays_;
  GatedMlpWeights dense_;
};

TEST_F(LlamaMoeGolden, RandomSplitsOfEveryLayerAgree) {
  for (const nlohmann::json& stored : arrays_->meta().at("random_split").at("cases")) {
    const auto num_experts = stored.at("E").get<int64_t>(), num_neurons = stored.at("d_ff").get<int64_t>();
    const GatedMlpWeights dense = random_mlp(num_neurons, 8, 1);
    for (size_t layer = 0; layer < stored.at("labels").size(); ++layer) {
      const LayerConversion conversion =
          convert_layer(*make_converter("llama_moe"), dense, {}, {0, 2, num_experts, num_neurons / num_experts},
                        stored.at("seed").get<uint64_t>(), static_cast<int64_t>(layer));
      const at::Tensor labels = at::tensor(stored.at("labels").at(layer).get<std::vector<int64_t>>(), at::kLong);
      for (int64_t expert = 0; expert < num_experts; ++expert) {
        EXPECT_TRUE(conversion.experts[expert].neurons.equal(labels.eq(expert).nonzero().squeeze(1)));
      }
    }
  }
}

TEST_F(LlamaMoeGolden, TanhGateChoosesWeighsAndAddsUpAlike) {
  for (const int64_t top_k : {1, 2, 4, 8}) {
    const std::string stored = "f_mlp_k" + std::to_string(top_k);
    const double scale = published_score_scale({0, top_k, 8, 22});
    EXPECT_EQ(scale, arrays_->meta().at(stored + "_scale").get<double>());
    const LayerConversion layer = stored_layer(0, "f", top_k, scale);
    const Routing routing = MoeLayer(dense_, layer).route(array("f_x"));
    EXPECT_TRUE(routing.experts.equal(array(stored + "_idx"))) << stored;
    EXPECT_TRUE(routing.weights.allclose(scale * array(stored + "_score"), 1e-5, 1e-6)) << stored;
    expect_output(layer, stored);
  }
}

// Which experts a tie falls on is torch.topk's affair there and the lower index here; with all of them there is none.
TEST_F(LlamaMoeGolden, ZeroGateWeighsAlike) {
  for (const int64_t top_k : {1, 2, 4, 8}) {
    const std::string stored = "f_linear_k" + std::to_string(top_k);
    LayerConversion layer = stored_layer(0, "f", top_k, 1);
    set_zero_linear_gate(layer, {0, dense_}, published_score_scale({0, top_k, 8, 22}));
    const Routing routing = MoeLayer(dense_, layer).route(array("f_x"));
    EXPECT_TRUE(routing.weights.allclose(layer.rule.scale * array(stored + "_score"), 1e-6)) << stored;
    if (top_k == 8) expect_output(layer, stored);
  }
}

TEST_F(LlamaMoeGolden, ResidualBlockIsAveragedAndAddedAlike) {
  LayerConversion one = stored_layer(1, "r1", 1, 4);
  one.shared = residual_block(residual_neurons(1), 1, dense_.down_proj);
  expect_output(one, "r1");
  LayerConversion two = stored_layer(2, "r2", 2, 3);
  two.shared = residual_block(residual_neurons(2), 2, dense_.down_proj);
  expect_output(two, "r2");
}

}  // namespace
}  // namespace moebench
