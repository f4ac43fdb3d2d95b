#include "methods/routing_policy.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/model/moe_layer.h"
#include "tests/methods/layer_scene.h"

namespace moebench {
namespace {

constexpr int64_t kExperts = 4, kWidth = 6, kHidden = 8, kTokens = 60;

LayerConversion random_layer(uint64_t seed) {
  LayerConversion layer{.top_k = 2};
  for (int64_t expert = 0; expert < kExperts; ++expert) {
    layer.experts.push_back({.own_weights = random_mlp(kWidth, kHidden, seed * 10 + expert)});
  }
  layer.router = {.kind = RouterKind::kLinear,
                  .tensors = {{"weight", at::randn({kExperts, kHidden}, at::detail::createCPUGenerator(seed)) * 0.3}}};
  layer.rule = {.softmax = RoutingRule::Softmax::kAfterTopK, .weights = RoutingRule::Weights::kScores, .scale = 3};
  return layer;
}

LayerText random_text(uint64_t seed) {
  return {random_windows(1, kTokens, kHidden, seed).front(), random_windows(1, kTokens, kHidden, seed + 1).front()};
}

// A token's experts, best first, with their softmax weights and the error of its best 1, 2, ... of them.
struct TokenTwin {
  std::vector<double> p, errors;

  // Experts until their weights sum to level.
  int64_t visits(double level) const {
    double sum = p[0];
    int64_t visits = 1;
    while (visits < kExperts && sum < level) sum += p[visits++];
    return visits;
  }
};

TokenTwin twin_of(const LayerConversion& layer, const at::Tensor& input, const at::Tensor& target) {
  const at::Tensor x = input.to(at::kDouble), y = target.to(at::kDouble);
  std::vector<double> logits;
  for (int64_t expert = 0; expert < kExperts; ++expert) {
    logits.push_back(layer.router.tensors.at("weight")[expert].to(at::kDouble).dot(x).item<double>());
  }
  double partition = 0;
  for (const double logit : logits) partition += std::exp(logit);
  std::vector<int64_t> order(kExperts);
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return logits[a] > logits[b]; });

  TokenTwin twin;
  at::Tensor sum = at::zeros({kHidden}, at::kDouble);
  double mass = 0;
  for (const int64_t expert : order) {
    const GatedMlpWeights& weights = *layer.experts[expert].own_weights;
    const at::Tensor h = at::silu(weights.gate_proj.to(at::kDouble).mv(x)) * weights.up_proj.to(at::kDouble).mv(x);
    twin.p.push_back(std::exp(logits[expert]) / partition);
    mass += twin.p.back();
    sum = sum + weights.down_proj.to(at::kDouble).mv(h) * twin.p.back();
    twin.errors.push_back(((sum * layer.rule.scale / mass - y).square().sum() / y.square().sum()).item<double>());
  }
  return twin;
}

// Made by hand: 2 experts, whose weights are even in one layer and not in the other.
RoutingProfile profile_of(std::vector<double> mass) {
  RoutingProfile profile{.mass = std::move(mass)};
  for (size_t expert = 0; expert < profile.mass.size(); ++expert) {
    profile.mass_error.push_back(1.0 / static_cast<double>(expert + 1));
  }
  for (int64_t level = 0; level < kMassLevels; ++level) {
    profile.visits.push_back(1 + static_cast<double>(profile.mass.size() - 1) * mass_level(level));
    profile.visits_error.push_back(1 / profile.visits.back());
  }
  return profile;
}

TEST(RoutingProfileTest, IsWhatEachTokenDoes) {
  const LayerConversion layer = random_layer(1);
  const LayerText text = random_text(2);
  const RoutingProfile profile = profile_routing(layer, text);
  std::vector<TokenTwin> twins;
  for (int64_t token = 0; token < kTokens; ++token) {
    twins.push_back(twin_of(layer, text.inputs[token], text.outputs[token]));
  }
  for (int64_t k = 1; k <= kExperts; ++k) {
    double mass = 0, error = 0;
    for (const TokenTwin& twin : twins) {
      mass += std::accumulate(twin.p.begin(), twin.p.begin() + k, 0.0) / kTokens;
      error += twin.errors[k - 1] / kTokens;
    }
    EXPECT_NEAR(profile.mass[k - 1], mass, 1e-6);
    EXPECT_NEAR(profile.mass_error[k - 1], error, 1e-5 * error);
  }
  for (int64_t level = 0; level < kMassLevels - 1; ++level) {
    double visits = 0, error = 0;
    for (const TokenTwin& twin : twins) {
      visits += static_cast<double>(twin.visits(mass_level(level))) / kTokens;
      error += twin.errors[twin.visits(mass_level(level)) - 1] / kTokens;
    }
    EXPECT_NEAR(profile.visits[level], visits, 1e-9) << level;
    EXPECT_NEAR(profile.visits_error[level], error, 1e-5 * error) << level;
  }
}

TEST(RoutingProfileTest, CostRisesWithTheMassAndAllOfItIsEveryExpert) {
  const RoutingProfile profile = profile_routing(random_layer(3), random_text(4));
  for (const RoutingPolicy policy : {RoutingPolicy::kStatic, RoutingPolicy::kCumulativeMass}) {
    for (int64_t level = 1; level < kMassLevels; ++level) {
      EXPECT_GE(mean_visits(profile, policy, level), mean_visits(profile, policy, level - 1));
    }
    EXPECT_EQ(mean_visits(profile, policy, 0), 1);
    EXPECT_EQ(mean_visits(profile, policy, kMassLevels - 1), kExperts);
  }
}

TEST(RoutingPolicyTest, TheChosenLevelIsTheNearest) {
  std::vector<RoutingProfile> profiles;
  for (const uint64_t seed : {5, 6, 7}) profiles.push_back(profile_routing(random_layer(seed), random_text(seed + 10)));
  for (const RoutingPolicy policy : {RoutingPolicy::kStatic, RoutingPolicy::kCumulativeMass}) {
    for (double target = 1.013; target <= kExperts; target += 0.1) {  // midway between no two mean visits
      int64_t nearest = 0;
      double least = 1e9;
      for (int64_t level = 0; level < kMassLevels; ++level) {
        double visits = 0;
        for (const RoutingProfile& profile : profiles) visits += mean_visits(profile, policy, level) / 3;
        if (std::abs(visits - target) < least - 1e-9) {
          least = std::abs(visits - target);
          nearest = level;
        }
      }
      EXPECT_EQ(choose_level(profiles, policy, target), nearest) << target;
    }
  }
}

TEST(RoutingPolicyTest, OfTwoLevelsAsNearTheCheaperIsChosen) {
  // Two experts at any level above 0.25 and up to 0.5, three above.
  EXPECT_NEAR(mass_level(choose_level({profile_of({0.25, 0.5, 0.75, 1})}, RoutingPolicy::kStatic, 2.5)), 0.255, 1e-12);
}

// At tau 0.6 one expert suffices where it holds 0.9 of the weight, three are wanted where all four are even.
TEST(RoutingPolicyTest, StaticKDiffersFromLayerToLayer) {
  Conversion conversion{.layers = {random_layer(1), random_layer(2)}};
  conversion.layers[0].notes["profile"] = profile_of({0.9, 0.95, 0.99, 1});
  conversion.layers[1].notes["profile"] = profile_of({0.25, 0.5, 0.75, 1});
  const nlohmann::json chosen = apply_routing_policy(conversion, RoutingPolicy::kStatic, {0, 2, 4, kWidth}, 4 * kWidth);
  EXPECT_EQ(conversion.layers[0].top_k, 1);
  EXPECT_EQ(conversion.layers[1].top_k, 3);
  EXPECT_EQ(conversion.layers[1].rule.visits, RoutingRule::Visits::kTopK);
  EXPECT_EQ(chosen["kind"], "static_k");
  EXPECT_DOUBLE_EQ(chosen["active_share"], 0.5);
  EXPECT_DOUBLE_EQ(chosen["expected_error"], (1 + 1.0 / 3) / 2);
}

TEST(RoutingPolicyTest, TokensVisitAsManyExpertsAsTheProfileSays) {
  const LayerText text = random_text(8);
  Conversion conversion{.layers = {random_layer(9)}};
  conversion.layers[0].notes["profile"] = profile_routing(conversion.layers[0], text);
  apply_routing_policy(conversion, RoutingPolicy::kCumulativeMass, {0, 3, 4, kWidth}, 4 * kWidth);
  const LayerConversion& layer = conversion.layers[0];
  EXPECT_EQ(layer.top_k, kExperts);
  const Routing routing = MoeLayer(random_mlp(24, kHidden, 1), layer).route(text.inputs);
  const double visits = static_cast<double>(routing.visited.sum().item<int64_t>()) / kTokens;
  EXPECT_DOUBLE_EQ(layer.mean_visits, visits);
  EXPECT_NEAR(visits, 3, 0.1);
}

TEST(RoutingPolicyTest, DenseLayersCountWithAllTheirNeurons) {
  Conversion conversion{.layers = {random_layer(1), {.keep_dense = true}, random_layer(2)}};
  for (const size_t index : {0, 2}) conversion.layers[index].notes["profile"] = profile_of({0.4, 0.7, 0.9, 1});
  const nlohmann::json chosen =
      apply_routing_policy(conversion, RoutingPolicy::kCumulativeMass, {0, 3, 4, kWidth}, 4 * kWidth);
  // Of 3 * 3 experts' neurons the dense layer takes 4, and the others share 5.
  EXPECT_NEAR(conversion.layers[0].mean_visits, 2.5, 0.01);
  EXPECT_EQ(chosen["dense_layers"], 1);
  EXPECT_NEAR(chosen["active_share"], 0.75, 0.003);
  EXPECT_EQ(chosen["trade_off"].size(), 20);
  EXPECT_NEAR(chosen["trade_off"].front()["tau"], 0.05, 1e-12);
  EXPECT_DOUBLE_EQ(chosen["trade_off"].back()["active_share"], 1);
}

TEST(RoutingPolicyTest, RefusesMoreDenseLayersThanTheSizeHasRoomFor) {
  Conversion conversion{.layers = {random_layer(1), {.keep_dense = true}}};
  conversion.layers[0].notes["profile"] = profile_of({0.4, 0.7, 0.9, 1});
  const auto apply = [&](int64_t top_k) {
    apply_routing_policy(conversion, RoutingPolicy::kStatic, {0, top_k, 4, kWidth}, 4 * kWidth);
  };
  EXPECT_NO_THROW(apply(3));
  EXPECT_THAT([&] { apply(2); }, testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr("dense_above")));
}

}  // namespace
}  // namespace moebench
