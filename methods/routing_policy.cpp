#include "methods/routing_policy.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "harness/model/router.h"

namespace moebench {
namespace {

constexpr int64_t kProfileTokens = 512;  // a time: every expert's output for each of them is in memory

// Of every token with its experts best first.
struct TokenProfile {
  at::Tensor mass_before;  // [T, E]: of the experts before this one
  at::Tensor mass;         // [T, E]: with it
  at::Tensor errors;       // [T, E]: with the experts up to this one
};

TokenProfile profile_tokens(const LayerConversion& layer, const at::Tensor& inputs, const at::Tensor& targets) {
  const int64_t num_experts = static_cast<int64_t>(layer.experts.size());
  // As choose_experts of harness/model/router.h has it, in its arithmetic.
  const at::Tensor logits_TE = router_logits(layer.router, inputs);
  const at::Tensor order_TE = choose_experts(logits_TE, layer.router.kind, {}, num_experts).experts;
  const at::Tensor p_TE = logits_TE.softmax(-1).gather(1, order_TE);

  std::vector<at::Tensor> outputs;
  for (const ExpertSpec& expert : layer.experts) {
    outputs.push_back(GatedMlp(*expert.own_weights).forward(inputs).to(at::kFloat));
  }
  const at::Tensor outputs_TED = at::stack(outputs, 1);
  const at::Tensor ordered_TED =
      outputs_TED.gather(1, order_TE.unsqueeze(-1).expand({-1, -1, outputs_TED.size(2)})) * p_TE.unsqueeze(-1);

  TokenProfile profile{.mass = p_TE.cumsum(1)};
  profile.mass_before = profile.mass - p_TE;
  const at::Tensor mixed_TED = ordered_TED.cumsum(1) / profile.mass.unsqueeze(-1) * layer.rule.scale;
  std::vector<at::Tensor> errors;
  for (const at::Tensor& mixed_TD : mixed_TED.unbind(1)) errors.push_back(normalised_errors(mixed_TD, targets));
  profile.errors = at::stack(errors, 1);
  return profile;
}

std::vector<double> column_means(const at::Tensor& values_TE) {
  const at::Tensor means = values_TE.mean({0}, /*keepdim=*/false, at::kDouble).to(at::kCPU);
  return {means.const_data_ptr<double>(), means.const_data_ptr<double>() + means.numel()};
}

// Index into mass and mass_error: the fewest experts that hold the level's mass on average.
size_t static_index(const RoutingProfile& profile, int64_t level) {
  const auto reaches = std::lower_bound(profile.mass.begin(), profile.mass.end(), mass_level(level));
  return std::min<size_t>(reaches - profile.mass.begin(), profile.mass.size() - 1);
}

// Neurons of layers with experts and of those kept dense.
struct LayerBudget {
  int64_t num_layers, num_routed, expert_intermediate_size, intermediate_size;

  int64_t num_dense() const { return num_layers - num_routed; }

  // Mean experts a token may visit in a layer with experts, so that the mean layer computes so many neurons.
  double visits_for(int64_t active_neurons) const {
    const int64_t left = num_layers * active_neurons - num_dense() * intermediate_size;
    if (num_routed == 0 || left < num_routed * expert_intermediate_size) {
      throw std::invalid_argument("ladimo: option 'dense_above' keeps " + std::to_string(num_dense()) + " of " +
                                  std::to_string(num_layers) +
                                  " layers dense, which leaves the others less than an expert a token; raise it");
    }
    return static_cast<double>(left) / static_cast<double>(num_routed * expert_intermediate_size);
  }

  // The share of all neurons that a token computes if it visits so many experts, summed over layers.
  double active_share(double summed_visits) const {
    const double neurons = static_cast<double>(num_dense() * intermediate_size) +
                           summed_visits * static_cast<double>(expert_intermediate_size);
    return neurons / static_cast<double>(num_layers * intermediate_size);
  }
};

nlohmann::json trade_off_point(const std::vector<RoutingProfile>& profiles, RoutingPolicy policy, int64_t level,
                               const LayerBudget& budget) {
  double visits = 0, error = 0;
  for (const RoutingProfile& profile : profiles) {
    visits += mean_visits(profile, policy, level);
    error += expected_error(profile, policy, level);
  }
  return {{"tau", mass_level(level)},
          {"active_share", budget.active_share(visits)},
          {"expected_error", error / static_cast<double>(budget.num_layers)}};
}

void set_visits(LayerConversion& layer, const RoutingProfile& profile, RoutingPolicy policy, int64_t level) {
  if (policy == RoutingPolicy::kStatic) {
    layer.top_k = static_cast<int64_t>(mean_visits(profile, policy, level));
    return;
  }
  layer.rule.visits = RoutingRule::Visits::kCumulativeMass;
  layer.rule.level = mass_level(level);
  layer.top_k = static_cast<int64_t>(layer.experts.size());
  layer.mean_visits = mean_visits(profile, policy, level);
}

}  // namespace

double mass_level(int64_t index) { return static_cast<double>(index + 1) / kMassLevels; }

RoutingProfile profile_routing(const LayerConversion& layer, const LayerText& held_out) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> mass_before, mass, errors;
  for (int64_t first = 0; first < held_out.inputs.size(0); first += kProfileTokens) {
    const int64_t count = std::min(kProfileTokens, held_out.inputs.size(0) - first);
    const TokenProfile tokens =
        profile_tokens(layer, held_out.inputs.narrow(0, first, count), held_out.outputs.narrow(0, first, count));
    mass_before.push_back(tokens.mass_before);
    mass.push_back(tokens.mass);
    errors.push_back(tokens.errors);
  }
  const at::Tensor mass_before_TE = at::cat(mass_before), errors_TE = at::cat(errors);
  RoutingProfile profile{.mass = column_means(at::cat(mass)), .mass_error = column_means(errors_TE)};
  for (int64_t level = 0; level < kMassLevels; ++level) {
    const at::Tensor visits = mass_before_TE.lt(mass_level(level)).sum(1, /*keepdim=*/true);
    profile.visits.push_back(visits.to(at::kDouble).mean().item<double>());
    profile.visits_error.push_back(errors_TE.gather(1, visits - 1).to(at::kDouble).mean().item<double>());
  }
  return profile;
}

double mean_visits(const RoutingProfile& profile, RoutingPolicy policy, int64_t level) {
  return policy == RoutingPolicy::kStatic ? static_cast<double>(static_index(profile, level) + 1)
                                          : profile.visits[level];
}

double expected_error(const RoutingProfile& profile, RoutingPolicy policy, int64_t level) {
  return policy == RoutingPolicy::kStatic ? profile.mass_error[static_index(profile, level)]
                                          : profile.visits_error[level];
}

int64_t choose_level(const std::vector<RoutingProfile>& profiles, RoutingPolicy policy, double target_visits) {
  const auto cost = [&](int64_t level) {
    double sum = 0;
    for (const RoutingProfile& profile : profiles) sum += mean_visits(profile, policy, level);
    return sum / static_cast<double>(profiles.size());
  };
  // The lowest level that costs at least so much, by bisection, for the cost rises with the level.
  const auto lowest_with = [&](double visits) {
    int64_t below = -1, reached = kMassLevels - 1;
    while (reached - below > 1) {
      const int64_t middle = below + (reached - below) / 2;
      (cost(middle) < visits ? below : reached) = middle;
    }
    return reached;
  };
  const int64_t above = lowest_with(target_visits);
  if (above == 0) return above;
  const bool below_is_as_near = target_visits - cost(above - 1) <= cost(above) - target_visits;
  return below_is_as_near ? lowest_with(cost(above - 1)) : above;
}

nlohmann::json apply_routing_policy(Conversion& conversion, RoutingPolicy policy, const MoeShape& shape,
                                    int64_t intermediate_size) {
  std::vector<LayerConversion*> routed;
  std::vector<RoutingProfile> profiles;
  for (LayerConversion& layer : conversion.layers) {
    if (layer.keep_dense) continue;
    routed.push_back(&layer);
    profiles.push_back(layer.notes.at("profile").get<RoutingProfile>());
  }
  const LayerBudget budget{static_cast<int64_t>(conversion.layers.size()), static_cast<int64_t>(routed.size()),
                           shape.expert_intermediate_size, intermediate_size};
  const int64_t level = choose_level(profiles, policy, budget.visits_for(shape.active_neurons()));
  for (size_t index = 0; index < routed.size(); ++index) set_visits(*routed[index], profiles[index], policy, level);

  nlohmann::json chosen = trade_off_point(profiles, policy, level, budget);
  chosen["kind"] = policy == RoutingPolicy::kStatic ? "static_k" : "cumulative_mass";
  chosen["dense_layers"] = budget.num_dense();
  for (int64_t other = kMassLevels / 20 - 1; other < kMassLevels; other += kMassLevels / 20) {
    chosen["trade_off"].push_back(trade_off_point(profiles, policy, other, budget));
  }
  return chosen;
}

}  // namespace moebench
