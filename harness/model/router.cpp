#include "harness/model/router.h"

#include <limits>
#include <stdexcept>

#include <ATen/ATen.h>

#include "harness/model/linear.h"

namespace moebench {

at::Tensor router_logits(const RouterSpec& router, const at::Tensor& hidden) {
  const auto scores = [&](const char* name) { return apply_linear(hidden, router.tensors.at(name)); };
  switch (router.kind) {
    case RouterKind::kLinear: {
      const auto bias = router.tensors.find("bias");
      const at::Tensor logits_TE = scores("weight");
      return (bias == router.tensors.end() ? logits_TE : logits_TE + bias->second).to(at::kFloat);
    }
    case RouterKind::kGatedRows:
      return (scores("up") * at::silu(scores("gate"))).abs().to(at::kFloat);
    case RouterKind::kTanhMlp:
      return apply_linear(at::tanh(scores("first")), router.tensors.at("second")).to(at::kFloat);
    case RouterKind::kQuadratic:
      return (scores("weight") + apply_linear(hidden.square(), router.tensors.at("square")) + router.tensors.at("bias"))
          .to(at::kFloat);
    case RouterKind::kOracle:
    case RouterKind::kStatic:
      break;
  }
  throw std::logic_error("this router has no logits of its own");
}

namespace {

// Of experts in order of choice, [T, K]. At least the first.
at::Tensor visited_experts(const at::Tensor& router_logits, const at::Tensor& experts, const RoutingRule& rule) {
  const at::Tensor p = router_logits.detach().softmax(-1).gather(1, experts);
  // An expert is visited while those before it have not reached the level: the one that reaches it is.
  at::Tensor visited = rule.visits == RoutingRule::Visits::kCumulativeMass ? (p.cumsum(1) - p).lt(rule.level)
                                                                           : p.ge(p.narrow(1, 0, 1) * rule.level);
  visited.select(1, 0).fill_(true);
  return visited;
}

}  // namespace

Routing choose_experts(const at::Tensor& router_logits, RouterKind kind, const RoutingRule& rule, int64_t top_k) {
  using Softmax = RoutingRule::Softmax;
  const at::Tensor scores_TE = rule.softmax == Softmax::kBeforeTopK ? router_logits.softmax(-1) : router_logits;
  at::Tensor choosing_TE = kind == RouterKind::kOracle ? router_logits : scores_TE;
  if (kind != RouterKind::kOracle && rule.selection_bias) choosing_TE = choosing_TE + *rule.selection_bias;

  Routing routing;
  routing.experts =
      std::get<1>(choosing_TE.detach().sort(/*stable=*/true, -1, /*descending=*/true)).narrow(1, 0, top_k);
  at::Tensor chosen_TK = scores_TE.gather(1, routing.experts);
  if (rule.visits != RoutingRule::Visits::kTopK && top_k > 0) {
    routing.visited = visited_experts(router_logits, routing.experts, rule);
    if (rule.softmax == Softmax::kAfterTopK) {
      chosen_TK = chosen_TK.masked_fill(routing.visited.logical_not(), -std::numeric_limits<float>::infinity());
    }
  }
  if (rule.softmax == Softmax::kAfterTopK) chosen_TK = chosen_TK.softmax(-1);
  switch (rule.weights) {
    case RoutingRule::Weights::kUnit:
      routing.weights = at::ones_like(chosen_TK);
      break;
    case RoutingRule::Weights::kScores:
      routing.weights = chosen_TK;
      break;
    case RoutingRule::Weights::kOnePlusScaledScores:
      routing.weights =
          rule.expert_scale ? 1 + chosen_TK * rule.expert_scale->index({routing.experts}) : at::ones_like(chosen_TK);
  }
  if (rule.scale != 1) routing.weights = routing.weights * rule.scale;
  if (routing.visited.defined()) routing.weights = routing.weights * routing.visited;
  return routing;
}

}  // namespace moebench
