#include <algorithm>
#include <stdexcept>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/evidence/evidence_pass.h"
#include "harness/evidence/neuron_gradients.h"
#include "harness/model/router.h"
#include "methods/neuron_split.h"
#include "tests/methods/layer_scene.h"
#include "tests/model/memory_checkpoint.h"

namespace moebench {
namespace {

constexpr int64_t kNeurons = 64, kTokens = 160;

class LlamaMoeV2Test : public testing::Test {
 protected:
  LlamaMoeV2Test() {
    text_.domains = {"one", "two"};
    text_.windows = at::randint(67, {2, 2, 40}, at::detail::createCPUGenerator(1), at::kLong).unbind(0);
  }

  static LlamaConfig config() {
    LlamaConfig config = tiny_llama_config();
    config.num_layers = 3;
    config.intermediate_size = kNeurons;
    return config;
  }

  std::vector<at::Tensor> windows() const { return at::cat(text_.windows).unbind(0); }

  Conversion convert(const nlohmann::json& options) const {
    const std::unique_ptr<Converter> converter = make_converter("llama_moe_v2", options);
    return convert_all(checkpoint_, {}, &text_,
                       {{.converter = converter.get(), .shape = converter->shape_for(0.25, checkpoint_.config())}})
        .front();
  }

  const MemoryCheckpoint checkpoint_{config()};
  CalibrationText text_;
};

std::vector<int64_t> sorted(std::vector<int64_t> neurons) {
  std::sort(neurons.begin(), neurons.end());
  return neurons;
}

std::vector<int64_t> neurons_of(const ExpertSpec& expert) {
  const int64_t* first = expert.neurons.const_data_ptr<int64_t>();
  return {first, first + expert.neurons.numel()};
}

// Clusters are of equal size, so the mean of their centres is that of all tokens.
TEST_F(LlamaMoeV2Test, RouterRowsAreCentresOfTheInputsOfTheirLayer) {
  at::Tensor sums = at::zeros({3, 32}, at::kDouble);
  for_each_neuron_gradient(checkpoint_, {}, windows(),
                           [&](const NeuronGradients& seen) { sums[seen.layer] += seen.inputs.sum(0); });
  const Conversion conversion = convert({{"layout", "vanilla"}});
  for (int64_t layer = 0; layer < 3; ++layer) {
    const RouterSpec& router = conversion.layers[layer].router;
    EXPECT_EQ(router.kind, RouterKind::kLinear);
    EXPECT_FALSE(router.tensors.contains("bias"));
    const at::Tensor& rows = router.tensors.at("weight");
    ASSERT_EQ(rows.sizes(), (at::IntArrayRef{8, 32}));
    EXPECT_TRUE(at::allclose(rows.mean(0).to(at::kDouble), sums[layer] / kTokens, 1e-4, 1e-5));
    EXPECT_GT(rows.std().item<float>(), 0.1);
  }
}

TEST_F(LlamaMoeV2Test, NearestRouterSendsACentreToItsOwnExpert) {
  for (const LayerConversion& layer : convert({{"router", "nearest"}}).layers) {
    const at::Tensor& centres = layer.router.tensors.at("weight");
    const Routing routing =
        choose_experts(router_logits(layer.router, centres), layer.router.kind, layer.rule, layer.top_k);
    EXPECT_TRUE(routing.experts.select(1, 0).equal(at::arange(centres.size(0), at::kLong)));
  }
}

// The definition, token by token: |h dL/dh| of the tokens that the router gives to an expert first, over their number.
TEST_F(LlamaMoeV2Test, ExpertsTakeWhatMattersToTheirTokens) {
  const Conversion conversion = convert({{"layout", "residual"}});
  std::vector<at::Tensor> importance(3), counts(3);
  for (int64_t layer = 0; layer < 3; ++layer) {
    importance[layer] = at::zeros({7, kNeurons}, at::kDouble);
    counts[layer] = at::zeros({7, 1}, at::kDouble);
  }
  for_each_neuron_gradient(checkpoint_, {}, windows(), [&](const NeuronGradients& seen) {
    const at::Tensor& rows = conversion.layers[seen.layer].router.tensors.at("weight");
    for (int64_t token = 0; token < seen.inputs.size(0); ++token) {
      const int64_t expert = rows.mv(seen.inputs[token]).argmax().item<int64_t>();
      importance[seen.layer][expert] += (seen.activations[token] * seen.gradients[token]).abs();
      counts[seen.layer][expert] += 1;
    }
  });
  for (int64_t index = 0; index < 3; ++index) {
    const ResidualSplit expected =
        sharing_inter_split(importance[index] / counts[index].clamp_min(1), 1, kNeurons / 8, false);
    const LayerConversion& layer = conversion.layers[index];
    ASSERT_TRUE(layer.shared);
    EXPECT_EQ(neurons_of(*layer.shared), sorted(expected.residual));
    ASSERT_EQ(layer.experts.size(), 7);
    for (size_t expert = 0; expert < 7; ++expert) {
      EXPECT_EQ(neurons_of(layer.experts[expert]), sorted(expected.routed[expert]));
    }
  }
}

TEST_F(LlamaMoeV2Test, WeightsOfTheChosenAddUpToTheScale) {
  const LayerConversion layer = convert({{"layout", "vanilla"}, {"scale", 3.0}}).layers.at(1);
  const at::Tensor hidden = random_windows(1, 20, 32, 4).front();
  const Routing routing =
      choose_experts(router_logits(layer.router, hidden), layer.router.kind, layer.rule, layer.top_k);
  EXPECT_EQ(routing.weights.size(1), 2);
  EXPECT_TRUE(at::allclose(routing.weights.sum(1), at::full({20}, 3.0)));
}

TEST_F(LlamaMoeV2Test, OutermostLayersStayDenseOnRequest) {
  const std::vector<LayerConversion> layers = convert({{"keep_first_and_last_dense", true}}).layers;
  EXPECT_TRUE(layers[0].keep_dense);
  EXPECT_FALSE(layers[1].keep_dense);
  EXPECT_TRUE(layers[2].keep_dense);
}

TEST_F(LlamaMoeV2Test, TooLittleTextIsRefused) {
  text_.windows = {at::zeros({1, 4}, at::kLong)};
  EXPECT_THAT([&] { convert(nlohmann::json::object()); },
              testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr("too little for 7 clusters")));
}

TEST(LlamaMoeV2LayoutTest, PublishedShapesAtAQuarter) {
  const LlamaConfig config{.intermediate_size = 1536};
  const auto shape = [&](const char* layout, double ratio) {
    return make_converter("llama_moe_v2", {{"layout", layout}})->shape_for(ratio, config);
  };
  EXPECT_EQ(to_string(shape("residual", 0.25), 1536), "S1A1E8");
  EXPECT_EQ(to_string(shape("vanilla", 0.25), 1536), "S0A2E8");
  for (const char* layout : {"residual", "vanilla"}) {
    for (int64_t eighths = 1; eighths < 8; ++eighths) {
      EXPECT_EQ(shape(layout, static_cast<double>(eighths) / 8).active_neurons(), 1536 * eighths / 8) << layout;
    }
  }
}

}  // namespace
}  // namespace moebench
