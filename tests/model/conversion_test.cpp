#include "harness/conversion.h"

#include <cmath>
#include <stdexcept>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/checkpoint/safetensors.h"
#include "harness/error.h"
#include "tests/fixtures/temporary_folder.h"

namespace moebench {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr int64_t kHidden = 8, kNeurons = 12;

at::Tensor neurons(std::vector<int64_t> indices) { return at::tensor(indices, at::kLong); }

// Everything that a conversion can hold.
Conversion full_conversion() {
  LayerConversion routed{.top_k = 2};
  routed.experts = {
      {.neurons = neurons({0, 3, 4})},
      {.neurons = neurons({1, 2}), .down_proj = at::randn({kHidden, 2})},
      {.neurons = neurons({3, 11}), .output_bias = at::randn({kHidden}), .absent_bias = at::randn({kHidden})},
      {.own_weights = GatedMlpWeights{at::randn({5, kHidden}), at::randn({5, kHidden}),
                                      at::randn({kHidden, 5}).to(at::kBFloat16)}}};
  routed.experts[1].updates.gate_proj = LowRankUpdate{at::randn({3, kHidden}), at::randn({2, 3})};
  routed.experts[3].updates.down_proj = LowRankUpdate{at::randn({1, 5}), at::randn({kHidden, 1})};
  routed.shared = ExpertSpec{.neurons = neurons({5, 6}), .output_bias = at::randn({kHidden})};
  routed.mean_visits = 1.5;
  routed.notes = {{"relative_error", 0.125}};
  routed.router = {RouterKind::kGatedRows, {{"gate", at::randn({4, kHidden})}, {"up", at::randn({4, kHidden})}}};
  routed.rule = {.softmax = RoutingRule::Softmax::kBeforeTopK,
                 .weights = RoutingRule::Weights::kOnePlusScaledScores,
                 .scale = 0.1,
                 .selection_bias = at::randn({4}),
                 .expert_scale = at::randn({4}),
                 .visits = RoutingRule::Visits::kThreshold,
                 .level = 0.25};
  LayerConversion fixed;
  fixed.shared = ExpertSpec{.neurons = neurons({0, 11}), .top_neurons = 1};
  LayerConversion linear{.experts = {{.neurons = neurons({1})}, {.neurons = neurons({2})}}, .top_k = 1};
  linear.router = {RouterKind::kLinear, {{"weight", at::randn({2, kHidden})}, {"bias", at::randn({2})}}};
  linear.rule = {.softmax = RoutingRule::Softmax::kAfterTopK, .weights = RoutingRule::Weights::kScores, .scale = 4};
  Conversion conversion{.layers = {routed, {.keep_dense = true}, fixed, linear}};
  conversion.metadata = {{"method", "cmoe"}, {"shape", "S3A3E8"}, {"seconds", {{"forward", 0.25}}}};
  conversion.model_tensors = {{"model.norm.weight", at::randn({kHidden})}};
  conversion.model_updates = {
      {"model.layers.1.self_attn.q_proj.weight", {at::randn({2, kHidden}), at::randn({kHidden, 2})}}};
  return conversion;
}

void expect_equal(const std::optional<at::Tensor>& ours, const std::optional<at::Tensor>& theirs) {
  ASSERT_EQ(ours.has_value(), theirs.has_value());
  if (!ours || !ours->defined()) return;
  EXPECT_EQ(ours->scalar_type(), theirs->scalar_type());
  EXPECT_TRUE(ours->equal(*theirs));
}

void expect_equal(const std::optional<LowRankUpdate>& ours, const std::optional<LowRankUpdate>& theirs) {
  ASSERT_EQ(ours.has_value(), theirs.has_value());
  if (!ours) return;
  expect_equal(std::optional(ours->a), theirs->a);
  expect_equal(std::optional(ours->b), theirs->b);
}

void expect_equal(const ExpertSpec& ours, const ExpertSpec& theirs) {
  expect_equal(ours.updates.gate_proj, theirs.updates.gate_proj);
  expect_equal(ours.updates.up_proj, theirs.updates.up_proj);
  expect_equal(ours.updates.down_proj, theirs.updates.down_proj);
  EXPECT_EQ(ours.top_neurons, theirs.top_neurons);
  expect_equal(std::optional(ours.neurons), std::optional(theirs.neurons));
  expect_equal(ours.down_proj, theirs.down_proj);
  expect_equal(ours.output_bias, theirs.output_bias);
  expect_equal(ours.absent_bias, theirs.absent_bias);
  ASSERT_EQ(ours.own_weights.has_value(), theirs.own_weights.has_value());
  if (!ours.own_weights) return;
  expect_equal(std::optional(ours.own_weights->gate_proj), theirs.own_weights->gate_proj);
  expect_equal(std::optional(ours.own_weights->up_proj), theirs.own_weights->up_proj);
  expect_equal(std::optional(ours.own_weights->down_proj), theirs.own_weights->down_proj);
}

void expect_equal(const LayerConversion& ours, const LayerConversion& theirs) {
  EXPECT_EQ(ours.keep_dense, theirs.keep_dense);
  EXPECT_EQ(ours.top_k, theirs.top_k);
  EXPECT_EQ(ours.router.kind, theirs.router.kind);
  EXPECT_EQ(ours.rule.softmax, theirs.rule.softmax);
  EXPECT_EQ(ours.rule.weights, theirs.rule.weights);
  EXPECT_EQ(ours.rule.scale, theirs.rule.scale);
  EXPECT_EQ(ours.rule.visits, theirs.rule.visits);
  EXPECT_EQ(ours.rule.level, theirs.rule.level);
  EXPECT_EQ(ours.mean_visits, theirs.mean_visits);
  EXPECT_EQ(ours.notes, theirs.notes);
  expect_equal(ours.rule.selection_bias, theirs.rule.selection_bias);
  expect_equal(ours.rule.expert_scale, theirs.rule.expert_scale);
  ASSERT_EQ(ours.router.tensors.size(), theirs.router.tensors.size());
  for (const auto& [name, tensor] : ours.router.tensors) {
    expect_equal(std::optional(tensor), std::optional(theirs.router.tensors.at(name)));
  }
  ASSERT_EQ(ours.experts.size(), theirs.experts.size());
  for (size_t expert = 0; expert < ours.experts.size(); ++expert) {
    expect_equal(ours.experts[expert], theirs.experts[expert]);
  }
  ASSERT_EQ(ours.shared.has_value(), theirs.shared.has_value());
  if (ours.shared) expect_equal(*ours.shared, *theirs.shared);
}

class ConversionFileTest : public testing::Test {
 protected:
  using Tensors = std::map<std::string, at::Tensor>;

  // The full conversion's file after a change.
  std::filesystem::path changed(const std::function<void(Tensors&, nlohmann::json&)>& change) {
    const std::filesystem::path good = folder_ / "good.safetensors", bad = folder_ / "bad.safetensors";
    save_conversion(full_conversion(), good);
    const SafetensorsFile file(good);
    Tensors tensors;
    for (const std::string& name : file.names()) tensors[name] = file.view(name).clone();
    nlohmann::json metadata = nlohmann::json::parse(file.metadata().at("moebench"));
    change(tensors, metadata);
    write_safetensors(bad, tensors, {{"moebench", metadata.dump()}});
    return bad;
  }

  void expect_refused(const std::function<void(Tensors&, nlohmann::json&)>& change, const std::string& message) {
    const std::filesystem::path path = changed(change);
    EXPECT_THAT([&] { load_conversion(path); },
                ThrowsMessage<std::runtime_error>(AllOf(HasSubstr("bad.safetensors"), HasSubstr(message))));
  }

  const TemporaryFolder folder_;
};

TEST_F(ConversionFileTest, LoadsWhatWasSavedBitForBit) {
  const Conversion saved = full_conversion();
  save_conversion(saved, folder_ / "a.safetensors");
  const Conversion loaded = load_conversion(folder_ / "a.safetensors");
  EXPECT_EQ(loaded.metadata, saved.metadata);
  ASSERT_EQ(loaded.layers.size(), saved.layers.size());
  for (size_t layer = 0; layer < saved.layers.size(); ++layer) {
    SCOPED_TRACE("layer " + std::to_string(layer));
    expect_equal(saved.layers[layer], loaded.layers[layer]);
  }
  save_conversion(loaded, folder_ / "b.safetensors");
  EXPECT_EQ(read_file(folder_ / "a.safetensors"), read_file(folder_ / "b.safetensors"));
}

TEST_F(ConversionFileTest, UnchangedFileIsAccepted) {
  EXPECT_NO_THROW(load_conversion(changed([](Tensors&, nlohmann::json&) {})));
}

TEST_F(ConversionFileTest, RefusesNeuronsThatAreNotAscending) {
  const std::string message = "layer 0: experts.0.neurons must be ascending, every neuron once";
  expect_refused([](Tensors& t, auto&) { t["layers.0.experts.0.neurons"] = neurons({3, 0, 4}); }, message);
  expect_refused([](Tensors& t, auto&) { t["layers.0.experts.0.neurons"] = neurons({3, 3, 4}); }, message);
}

TEST_F(ConversionFileTest, RefusesNeuronsThatAreNoIndices) {
  expect_refused(
      [](Tensors& t, auto&) {
        t["layers.0.experts.0.neurons"] = neurons({-1, 3, 4});
      },
      "negative neuron -1");
  expect_refused([](Tensors& t, auto&) { t["layers.0.experts.0.neurons"] = at::randn({3}); }, "must be a list");
  expect_refused([](Tensors& t, auto&) { t["layers.2.shared.neurons"] = neurons({}); },
                 "layer 2: shared.neurons must be");
}

TEST_F(ConversionFileTest, RefusesMissingTensors) {
  expect_refused([](Tensors& t, auto&) { t.erase("layers.0.experts.1.neurons"); },
                 "layer 0: tensor 'layers.0.experts.1.neurons' is missing");
  expect_refused([](Tensors& t, auto&) { t.erase("layers.0.router.up"); }, "layer 0: router.up is missing");
  expect_refused([](Tensors& t, auto&) { t.erase("layers.0.experts.3.own.up_proj"); }, "own.up_proj' is missing");
  expect_refused([](Tensors& t, auto&) { t.erase("layers.2.shared.neurons"); },
                 "layer 2 has neither a shared nor a routed expert");
}

TEST_F(ConversionFileTest, RefusesTensorsThatBelongNowhere) {
  expect_refused([](Tensors& t, auto&) { t["layers.0.experts.9.neurons"] = neurons({1}); },
                 "tensor 'layers.0.experts.9.neurons' belongs to no layer");
  expect_refused([](Tensors& t, auto&) { t["layers.0.router.third"] = at::randn({3}); },
                 "layer 0: router.third is not a tensor of this kind of router");
}

TEST_F(ConversionFileTest, RefusesWrongShapes) {
  expect_refused(
      [](Tensors& t, auto&) {
        t["layers.0.experts.1.down_proj"] = at::randn({kHidden, 3});
      },
      "layer 0: experts.1.down_proj has the wrong shape; [8, 2] is wanted");
  expect_refused([](Tensors& t, auto&) { t["layers.0.shared.output_bias"] = at::randn({kHidden + 1}); },
                 "layer 0: shared.output_bias has the wrong shape");
  expect_refused(
      [](Tensors& t, auto&) {
        t["layers.0.router.gate"] = at::randn({3, kHidden});
      },
      "router.gate has the wrong");
  expect_refused(
      [](Tensors& t, auto&) {
        t["layers.0.rule.selection_bias"] = at::randn({4, 1});
      },
      "rule.selection_bias");
  expect_refused(
      [](Tensors& t, auto&) {
        t["layers.0.rule.expert_scale"] = neurons({1, 2, 3, 4});
      },
      "rule.expert_scale must hold floating-point numbers");
}

TEST_F(ConversionFileTest, RefusesMetadataThatDoesNotDescribeTheTensors) {
  expect_refused([](auto&, nlohmann::json& json) { json["layers"][0]["num_experts"] = int64_t{1} << 60; },
                 "tensor 'layers.0.experts.4.neurons' is missing");
  expect_refused([](auto&, nlohmann::json& json) { json["layers"][0]["num_experts"] = -1; }, "layer 0");
  expect_refused([](auto&, nlohmann::json& json) { json["layers"][0]["top_k"] = 5; },
                 "layer 0: top_k is 5 of 4 routed experts");
  expect_refused([](auto&, nlohmann::json& json) { json["layers"][0]["top_k"] = "all"; }, "layer 0");
  expect_refused([](auto&, nlohmann::json& json) { json["layers"][0].erase("scale"); }, "layer 0");
  expect_refused([](auto&, nlohmann::json& json) { json["layers"][0]["router"] = "magic"; },
                 "layer 0: router 'magic' is unknown; known: linear");
  expect_refused([](auto&, nlohmann::json& json) { json["layers"][0]["router"] = "static"; }, "router is static");
  expect_refused([](auto&, nlohmann::json& json) { json["layers"][0] = 3; }, "layer 0");
  expect_refused([](auto&, nlohmann::json& json) { json["layers"].push_back({{"keep_dense", false}}); }, "layer 4");
  expect_refused([](auto&, nlohmann::json& json) { json["layers"].erase(3); }, "belongs to no layer");
  expect_refused([](auto&, nlohmann::json& json) { json["layers"] = nlohmann::json::array(); }, "'layers'");
  expect_refused([](auto&, nlohmann::json& json) { json["format_version"] = 1; }, "'format_version' is not 2");
  expect_refused([](auto&, nlohmann::json& json) { json = nlohmann::json::array(); }, "not a JSON object");
}

TEST_F(ConversionFileTest, RefusesAdaptiveRulesThatMakeNoSense) {
  const auto with = [](const char* field, const nlohmann::json& value) {
    return [=](Tensors&, nlohmann::json& json) { json["layers"][0][field] = value; };
  };
  expect_refused(with("level", 0), "layer 0: level must lie above 0");
  expect_refused(with("level", 1.5), "layer 0: level must lie above 0");
  expect_refused(with("mean_visits", 0.5), "layer 0: mean_visits must lie between");
  expect_refused(with("mean_visits", 5), "layer 0: mean_visits must lie between");
  expect_refused(with("visits", "some"), "layer 0: visits 'some' is unknown; known: top_k");
  expect_refused([](auto&, nlohmann::json& json) { json["layers"][2]["shared_top_neurons"] = 3; },
                 "layer 2: shared.top_neurons is 3 of 2 neurons");
}

TEST_F(ConversionFileTest, RefusesUpdatesWhoseFactorsDoNotFit) {
  const std::string update = "layers.0.experts.1.updates.gate_proj.";
  expect_refused(
      [=](Tensors& t, auto&) {
        t[update + "b"] = at::ones({2, 4});
      },
      "layer 0: experts.1.updates.gate_proj.b has the wrong shape");
  expect_refused([=](Tensors& t, auto&) { t.erase(update + "b"); }, update + "b' is missing");
  const std::string attention = "model_updates.model.layers.1.self_attn.q_proj.weight.";
  expect_refused([=](Tensors& t, auto&) { t[attention + "b"] = at::ones({kHidden, 3}); }, "of one rank");
  expect_refused([=](Tensors& t, auto&) { t.erase(attention + "a"); }, "belongs to no layer");
  expect_refused([](Tensors& t, auto&) { t["model_updates.a"] = at::ones({1, 1}); }, "belongs to no layer");
  expect_refused([](Tensors& t, auto&) { t["model_updates..a"] = at::ones({1, 1}); }, "belongs to no layer");
  expect_refused([](Tensors& t, auto&) { t["model_tensors.model.norm.weight"] = neurons({1}); }, "floating-point");
}

TEST_F(ConversionFileTest, RefusesMetadataOfAnotherTypeByField) {
  const auto with = [](const char* field, const nlohmann::json& value) {
    return [=](Tensors&, nlohmann::json& json) { json["layers"][0][field] = value; };
  };
  expect_refused(with("top_k", 1.5), "layer 0: metadata 'top_k' must be a whole number, not 1.5");
  expect_refused(with("num_experts", 4.5), "layer 0: metadata 'num_experts' must be a whole number, not 4.5");
  expect_refused(with("scale", "much"), "layer 0: metadata 'scale' must be a number, not \"much\"");
  expect_refused(with("keep_dense", 1), "layer 0: metadata 'keep_dense' must be true or false, not 1");
  expect_refused(with("softmax", nullptr), "layer 0: metadata 'softmax' must be a text, not null");
  expect_refused([](auto&, nlohmann::json& json) { json["layers"][0].erase("scale"); },
                 "layer 0: metadata 'scale' is missing");
}

TEST_F(ConversionFileTest, RefusesValuesThatAreNotFinite) {
  for (const std::string name :
       {"router.gate", "rule.expert_scale", "experts.1.down_proj", "shared.output_bias", "experts.3.own.up_proj"}) {
    for (const double value : {NAN, INFINITY}) {
      expect_refused([&](Tensors& t, auto&) { t["layers.0." + name].view(-1)[0] = value; },
                     "layer 0: tensor 'layers.0." + name + "' holds a value that is not finite");
    }
  }
}

TEST_F(ConversionFileTest, RefusesAScaleThatIsNoneOfAnyMethod) {
  for (const double scale : {1e300, -1e7}) {
    expect_refused([&](auto&, nlohmann::json& json) { json["layers"][0]["scale"] = scale; },
                   "layer 0: scale is not a number of at most a million");
  }
  LayerConversion layer = full_conversion().layers[0];
  layer.rule.scale = NAN;
  EXPECT_THROW(check_layer_conversion(layer, "layer", kNeurons, kHidden), std::invalid_argument);
}

TEST_F(ConversionFileTest, RefusesFilesThatAreNoConversions) {
  write_safetensors(folder_ / "model.safetensors", {{"weight", at::randn({2})}}, {});
  EXPECT_THAT([&] { load_conversion(folder_ / "model.safetensors"); },
              ThrowsMessage<std::runtime_error>(AllOf(HasSubstr("model.safetensors"), HasSubstr("not a conversion"))));
  const std::string bytes = read_file(changed([](Tensors&, nlohmann::json&) {}));
  folder_.write("cut.safetensors", bytes.substr(0, bytes.size() - 1));
  EXPECT_THAT([&] { load_conversion(folder_ / "cut.safetensors"); },
              ThrowsMessage<std::runtime_error>(HasSubstr("cut.safetensors")));
  EXPECT_THROW(load_conversion(folder_ / "none.safetensors"), std::runtime_error);
}

TEST_F(ConversionFileTest, FolderThatCannotBeWrittenIsForTryingAgain) {
  EXPECT_THROW(save_conversion(full_conversion(), folder_ / "missing" / "a.safetensors"), TryAgainError);
}

TEST(ConversionTest, CheckRefusesAnotherModel) {
  const Conversion conversion = full_conversion();
  EXPECT_NO_THROW(check_conversion(conversion, 4, kNeurons, kHidden));
  EXPECT_THAT([&] { check_conversion(conversion, 5, kNeurons, kHidden); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("has 4 layers and the model 5")));
  EXPECT_THAT([&] { check_conversion(conversion, 4, kNeurons - 1, kHidden); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("layer 0: experts.2.neurons holds neuron 11")));
  EXPECT_THAT([&] { check_conversion(conversion, 4, kNeurons, kHidden + 1); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("wrong shape; [9, 2] is wanted")));
}

TEST(ConversionTest, OracleHasNoScoresToWeighBy) {
  Conversion conversion = full_conversion();
  LayerConversion& scored = conversion.layers[3];  // two experts, scale 4
  scored.top_k = 2;
  EXPECT_EQ(with_oracle_router(conversion).layers[3].rule.scale, 1) << "parts of one FFN add up to it";
  EXPECT_EQ(with_oracle_router(conversion).layers[3].rule.weights, RoutingRule::Weights::kUnit);
  scored.experts[1].neurons = neurons({1, 2});
  EXPECT_EQ(with_oracle_router(conversion).layers[3].rule.scale, 2) << "overlapping ones share the scale";
}

TEST(ConversionTest, OracleRouterKeepsExpertsRuleAndTopK) {
  const Conversion conversion = full_conversion();
  const Conversion oracle = with_oracle_router(conversion);
  EXPECT_NO_THROW(check_conversion(oracle, 4, kNeurons, kHidden));
  EXPECT_EQ(oracle.metadata.at("router"), "oracle");
  for (const size_t layer : {0, 3}) {
    LayerConversion expected = conversion.layers[layer];
    expected.router = {.kind = RouterKind::kOracle};
    expected.rule.visits = RoutingRule::Visits::kTopK;
    if (layer == 3) {
      expected.rule.weights = RoutingRule::Weights::kUnit;
      expected.rule.scale = 1;
    }
    expect_equal(oracle.layers[layer], expected);
  }
  expect_equal(oracle.layers[1], conversion.layers[1]);
  expect_equal(oracle.layers[2], conversion.layers[2]);
}

}  // namespace
}  // namespace moebench
