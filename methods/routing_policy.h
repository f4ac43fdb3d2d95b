// The routing-policy stage of LaDiMo-style conversions: from how a layer's router weighs experts on held-out text to
// how many experts each layer's tokens visit. T tokens, E experts.
#pragma once

#include <cstdint>
#include <vector>

#include <nlohmann/json.hpp>

#include "harness/conversion.h"
#include "methods/layer_distillation.h"

namespace moebench {

// A layer on held-out text. Mass: the sum of a token's softmax weights over its best experts. Errors: mean
// normalised_errors with those experts.
struct RoutingProfile {
  std::vector<double> mass, mass_error;      // [E]: of the best 1, 2, ... E experts; mass is the mean over tokens
  std::vector<double> visits, visits_error;  // [kMassLevels]: mean experts until a token's mass reaches the level
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(RoutingProfile, mass, mass_error, visits, visits_error)

// Levels of mass that policies choose among: 1 / kMassLevels to 1.
constexpr int64_t kMassLevels = 200;
double mass_level(int64_t index);  // 0 to kMassLevels - 1

// layer: a linear router and experts with weights of their own.
RoutingProfile profile_routing(const LayerConversion& layer, const LayerText& held_out);

enum class RoutingPolicy {
  kStatic,          // a layer's tokens all visit as many experts as hold the level's mass on average
  kCumulativeMass,  // each token visits its best experts until their mass reaches the level
};

// Mean experts a token visits at this level, and the mean error then. Visits rise with the level.
double mean_visits(const RoutingProfile& profile, RoutingPolicy policy, int64_t level);
double expected_error(const RoutingProfile& profile, RoutingPolicy policy, int64_t level);

// The one level for all layers whose mean over them of mean_visits is nearest to target_visits; of two as near the
// lower, and of levels with the same visits the lowest. Not for no layers.
int64_t choose_level(const std::vector<RoutingProfile>& profiles, RoutingPolicy policy, double target_visits);

// Chooses the level that gives the shape's active neurons on average over the layers, of which those kept dense have
// intermediate_size, and sets the others' top_k, visits, level and mean_visits. Each of these has its profile in
// notes["profile"] and experts of the shape's width.
// Returns what was chosen and what every twentieth of the mass would cost: {"kind", "tau", "active_share",
// "expected_error", "dense_layers", "trade_off": [{"tau", "active_share", "expected_error"}]}.
// Throws std::invalid_argument if the dense layers leave less than an expert a token for the others.
nlohmann::json apply_routing_policy(Conversion& conversion, RoutingPolicy policy, const MoeShape& shape,
                                    int64_t intermediate_size);

}  // namespace moebench
