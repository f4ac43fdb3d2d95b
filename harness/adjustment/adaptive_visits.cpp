#include "harness/adjustment/adaptive_visits.h"

#include <stdexcept>

#include <ATen/ATen.h>

#include "harness/model/router.h"

namespace moebench {
namespace {

// T tokens, E routed experts.

at::Tensor all_logits(const LayerEvidence& evidence, const RouterSpec& router) {
  std::vector<at::Tensor> logits;
  for (const EvidenceTokens& window : evidence.windows()) logits.push_back(router_logits(router, window.inputs));
  return at::cat(logits);
}

// [T, E] double, of each token's experts in order of choice: an expert is visited if the level leaves more than this.
at::Tensor reluctance(const at::Tensor& logits_TE, const at::Tensor& order_TE, RoutingRule::Visits visits) {
  const at::Tensor p = logits_TE.to(at::kDouble).softmax(-1).gather(1, order_TE);
  return visits == RoutingRule::Visits::kCumulativeMass ? p.cumsum(1) - p : 1 - p / p.narrow(1, 0, 1);
}

// Halfway between the count-th smallest value and the next.
double bound_after(const at::Tensor& values, int64_t count) {
  const at::Tensor flat = values.flatten();
  const double below = std::get<0>(flat.kthvalue(count)).item<double>();
  const double above = std::get<0>(flat.kthvalue(count + 1)).item<double>();
  return (below + above) / 2;
}

}  // namespace

void calibrate_visits(const LayerEvidence& evidence, RoutingRule::Visits visits, LayerConversion& conversion) {
  const int64_t num_experts = static_cast<int64_t>(conversion.experts.size());
  if (conversion.top_k == num_experts) return;
  if (conversion.router.kind == RouterKind::kOracle) {
    throw std::invalid_argument(
        "option 'visits': only top_k suits a router without scores; set router = ridge as well");
  }
  const at::Tensor logits_TE = all_logits(evidence, conversion.router);
  const auto choose = [&] { return choose_experts(logits_TE, conversion.router.kind, conversion.rule, num_experts); };
  conversion.rule.visits = RoutingRule::Visits::kTopK;
  const at::Tensor values_TE = reluctance(logits_TE, choose().experts, visits);
  const double bound = bound_after(values_TE, evidence.num_tokens() * conversion.top_k);
  if (visits == RoutingRule::Visits::kThreshold && bound >= 1) {
    throw std::invalid_argument(
        "option 'visits': this router's scores are too far apart for a threshold of their softmax; set router = ridge "
        "as well, or visits = top_k");
  }

  conversion.rule.visits = visits;
  conversion.rule.level = visits == RoutingRule::Visits::kCumulativeMass ? bound : 1 - bound;
  conversion.top_k = num_experts;
  conversion.mean_visits = choose().visited.sum().item<double>() / static_cast<double>(evidence.num_tokens());
}

}  // namespace moebench
