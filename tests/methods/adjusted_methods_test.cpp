// Every switch on every registered method, on a tiny model.
#include <stdexcept>

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/adjustment/adjusted_converter.h"
#include "harness/evidence/evidence_pass.h"
#include "harness/model/moe_layer.h"
#include "tests/methods/layer_scene.h"
#include "tests/model/memory_checkpoint.h"

namespace moebench {
namespace {

LlamaConfig test_config() {
  LlamaConfig config = tiny_llama_config();
  config.intermediate_size = 64;
  return config;
}

class AdjustedMethods : public testing::TestWithParam<std::string> {
 protected:
  AdjustedMethods() {
    // As many as DIVE makes experts of: the same experts have the same norms, and no level tells those apart.
    for (uint64_t domain = 0; domain < 8; ++domain) {
      text_.domains.push_back("domain " + std::to_string(domain));
      text_.windows.push_back(at::randint(67, {2, 40}, at::detail::createCPUGenerator(domain), at::kLong));
    }
  }

  MoeShape published_shape() const {
    for (const double ratio : {0.75, 0.5, 1.0}) {
      try {
        return method_->shape_for(ratio, checkpoint_.config());
      } catch (const std::invalid_argument&) {
      }
    }
    throw std::logic_error("no layout");
  }

  Conversion convert(const AdjustmentOptions& options, const Precision& precision = {}) const {
    const std::shared_ptr<const Converter> converter = adjusted(method_, options);
    const MoeShape shape = published_shape();
    converter->check_shape(shape, checkpoint_.config());
    return convert_all(checkpoint_, precision, &text_, {{.converter = converter.get(), .shape = shape}}).front();
  }

  void expect_sound(const Conversion& conversion, const Precision& precision = {}) const {
    check_conversion(conversion, 2, 64, 32);
    const at::NoGradGuard no_grad;
    LlamaModel model = LlamaModel::load(checkpoint_, precision);
    apply_conversion(conversion, model);
    EXPECT_TRUE(model.forward(text_.windows[0].narrow(0, 0, 1)).isfinite().all().item<bool>());
  }

  // Layers that route by scores.
  static bool routes(const LayerConversion& layer) {
    return layer.top_k > 0 && layer.top_k < static_cast<int64_t>(layer.experts.size());
  }

  std::shared_ptr<const Converter> method_ = make_converter(GetParam());
  MemoryCheckpoint checkpoint_{test_config()};
  CalibrationText text_;
};

INSTANTIATE_TEST_SUITE_P(Registered, AdjustedMethods, testing::ValuesIn(ConverterRegistry::instance().names()),
                         [](const auto& info) { return info.param; });

TEST_P(AdjustedMethods, WithNothingOnItIsTheMethodItself) { EXPECT_EQ(adjusted(method_, {}), method_); }

TEST_P(AdjustedMethods, RidgeRouterTakesThePlaceOfItsOwn) {
  const Conversion conversion = convert({.router = "ridge"});
  for (const LayerConversion& layer : conversion.layers) {
    if (layer.experts.empty()) continue;
    EXPECT_EQ(layer.router.kind, RouterKind::kQuadratic);
    EXPECT_GT(layer.notes.at("router_agreement"), 0);
  }
  expect_sound(conversion);
}

TEST_P(AdjustedMethods, RefitLowersTheError) {
  const Conversion conversion = convert({.compensation = "least_squares", .ridge = 1e-6, .token_weights = "residual"});
  for (const LayerConversion& layer : conversion.layers) {
    if (layer.keep_dense) continue;
    EXPECT_LE(layer.notes.at("relative_error"), layer.notes.at("relative_error_before"));
  }
  expect_sound(conversion);
}

TEST_P(AdjustedMethods, RefitsInBrainFloat) {
  const Precision precision{.dtype = at::kBFloat16};
  const AdjustmentOptions all{.router = "ridge_linear", .compensation = "least_squares", .moment_alignment = true};
  const Conversion conversion = convert(all, precision);
  for (const LayerConversion& layer : conversion.layers) {
    if (!layer.shared || layer.keep_dense) continue;
    EXPECT_EQ(layer.shared->down_proj->scalar_type(), at::kBFloat16);
  }
  expect_sound(conversion, precision);
}

TEST_P(AdjustedMethods, MeansAndMomentsAreSound) {
  expect_sound(convert({.compensation = "mean"}));
  expect_sound(convert({.moment_alignment = true}));
}

TEST_P(AdjustedMethods, AdaptiveVisitsKeepTheMean) {
  for (const char* visits : {"threshold", "cumulative_mass"}) {
    const Conversion plain = convert({.router = "ridge"});
    const Conversion conversion = convert({.router = "ridge", .visits = visits});
    for (size_t layer = 0; layer < conversion.layers.size(); ++layer) {
      if (!routes(plain.layers[layer])) continue;
      EXPECT_NEAR(conversion.layers[layer].mean_visits, static_cast<double>(plain.layers[layer].top_k), 0.02) << visits;
    }
    expect_sound(conversion);
  }
}

TEST(AdjustedConverterTest, BudgetsReachTheMethod) {
  const MemoryCheckpoint checkpoint(test_config());
  const std::shared_ptr<const Converter> converter =
      adjusted(make_converter("random_split", {{"router", "oracle"}}), {.budget_slope = 0.25});
  const MoeShape shape = parse_moe_shape("S0A8E16", 64);
  converter->check_shape(shape, checkpoint.config());
  const Conversion conversion =
      convert_all(checkpoint, {}, nullptr, {{.converter = converter.get(), .shape = shape}}).front();
  EXPECT_EQ(conversion.layers[0].top_k, 10);
  EXPECT_EQ(conversion.layers[1].top_k, 6);
}

// Shapes with room: many experts, a few of them active.
TEST(AdjustedConverterTest, MeasuredBudgetsHaveTheShapesMean) {
  const MemoryCheckpoint checkpoint(test_config());
  const CalibrationText text{.domains = {"text"},
                             .windows = {at::randint(67, {4, 40}, at::detail::createCPUGenerator(1), at::kLong)}};
  std::vector<std::pair<std::shared_ptr<const Converter>, std::string>> layouts = {
      {make_converter("least_squares_moe", {{"budgets", "measured"}}), "S4A4E16"}};
  for (const auto& [method, layout] : {std::pair{"cmoe", "S4A4E16"},
                                       {"random_split", "S0A8E16"},
                                       {"static_pruning", "S40A0E64"},
                                       {"llama_moe", "S0A4E16"}}) {
    layouts.emplace_back(adjusted(make_converter(method), {.budgets = "measured"}), layout);
  }
  for (const auto& [converter, layout] : layouts) {
    const MoeShape shape = parse_moe_shape(layout, 64);
    converter->check_shape(shape, checkpoint.config());
    const Conversion conversion =
        convert_all(checkpoint, {}, &text, {{.converter = converter.get(), .shape = shape}}).front();
    int64_t active = 0;
    for (const LayerConversion& layer : conversion.layers) {
      active += layer.top_k * shape.expert_intermediate_size;
      if (layer.shared) active += layer.shared->neurons.numel();
    }
    EXPECT_EQ(active, 2 * shape.active_neurons()) << layout;
  }
}

TEST(AdjustedConverterTest, MeasuringReadsTextThatTheMethodDoesNot) {
  const std::shared_ptr<const Converter> method = make_converter("random_split", {{"router", "oracle"}});
  ASSERT_FALSE(method->calibration().needs_text);
  const CalibrationRequest request = adjusted(method, {.budgets = "measured"})->calibration();
  EXPECT_TRUE(request.needs_text);
  EXPECT_FALSE(request.observes_layers);
}

// On one stream the teacher's next residual is the dense layer's output away; on the converted layers' own stream, the
// refit that aims at it makes up for what earlier layers did.
TEST(AdjustedConverterTest, TeachersTargetIsTheLayersOnTheDenseStreamAndLeadsNearerOnTheConvertedOne) {
  const MemoryCheckpoint checkpoint(test_config());
  const CalibrationText text{.domains = {"text"},
                             .windows = {at::randint(67, {6, 40}, at::detail::createCPUGenerator(1), at::kLong)}};
  const MoeShape shape = parse_moe_shape("S32A0E64", 64);
  const at::NoGradGuard no_grad;
  const at::Tensor wanted = LlamaModel::load(checkpoint, {}).forward(text.windows[0]);
  const auto distance = [&](const std::string& target, const std::string& propagate) {
    const auto converter =
        adjusted(make_converter("static_pruning", {{"criterion", "energy"}}), {.compensation = "least_squares",
                                                                               .ridge = 1e-6,
                                                                               .token_weights = "residual",
                                                                               .target = target,
                                                                               .propagate = propagate});
    LlamaModel model = LlamaModel::load(checkpoint, {});
    apply_conversion(convert_all(checkpoint, {}, &text, {{.converter = converter.get(), .shape = shape}}).front(),
                     model);
    return (model.forward(text.windows[0]) - wanted).square().sum().item<double>();
  };
  const double layer = distance("layer", "dense");
  EXPECT_NEAR(distance("teacher", "dense"), layer, 1e-3 * layer);
  EXPECT_LT(distance("teacher", "converted"), distance("layer", "converted"));
}

TEST(AdjustedConverterTest, RefitOfAPrunedLayerIsStaticPrunings) {
  const nlohmann::json energy = {{"criterion", "energy"}, {"token_weights", "residual"}, {"ridge", 0.02}};
  nlohmann::json refitted = energy;
  refitted["compensation"] = "least_squares";
  const AdjustmentOptions options{.compensation = "least_squares", .ridge = 0.02, .token_weights = "residual"};
  const GatedMlpWeights dense = random_mlp(32, 8, 1);
  const std::vector<at::Tensor> windows = random_windows(4, 50, 8, 2);
  const MoeShape shape{20, 0, 32, 1};
  const LayerConversion own = convert_layer(*make_converter("static_pruning", refitted), dense, windows, shape);
  const LayerConversion adjusted_one =
      convert_layer(*adjusted(make_converter("static_pruning", energy), options), dense, windows, shape);
  EXPECT_TRUE(adjusted_one.shared->neurons.equal(own.shared->neurons));
  EXPECT_TRUE(adjusted_one.shared->down_proj->allclose(*own.shared->down_proj, 1e-4, 1e-5));
  EXPECT_TRUE(adjusted_one.shared->output_bias->allclose(*own.shared->output_bias, 1e-4, 1e-5));
}

TEST(AdjustedConverterTest, LayersAfterARefittedOneSeeItsOutputs) {
  const std::shared_ptr<const Converter> method = make_converter("random_split");
  EXPECT_EQ(adjusted(method, {.router = "ridge"})->calibration().propagation, Propagation::kDense);
  EXPECT_EQ(adjusted(method, {.compensation = "mean"})->calibration().propagation, Propagation::kConverted);
  EXPECT_EQ(adjusted(method, {.compensation = "mean", .propagate = "dense"})->calibration().propagation,
            Propagation::kDense);
  EXPECT_TRUE(adjusted(method, {.router = "ridge"})->calibration().needs_text);
}

TEST(AdjustedConverterTest, RefusesNumbersOutOfRangeAndSwitchesThatContradict) {
  const std::shared_ptr<const Converter> method = make_converter("random_split");
  EXPECT_THROW(adjusted(method, {.compensation = "least_squares", .ridge = 0}), std::invalid_argument);
  EXPECT_THROW(adjusted(method, {.budget_slope = 1.5}), std::invalid_argument);
  EXPECT_THROW(adjusted(method, {.budgets = "measured", .budget_slope = 0.3}), std::invalid_argument);
  EXPECT_THROW(adjusted(method, {.target = "teacher"}), std::invalid_argument);
}

}  // namespace
}  // namespace moebench
