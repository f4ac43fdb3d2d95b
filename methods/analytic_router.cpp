#include "methods/analytic_router.h"

#include <ATen/ATen.h>

namespace moebench {
namespace {

at::Tensor normalised_rows(const at::Tensor& weight, const at::Tensor& rows) {
  const at::Tensor chosen = weight.index_select(0, rows.to(weight.device())).to(at::kFloat);
  return (chosen / chosen.norm(2, {1}, /*keepdim=*/true).clamp_min(1e-12)).to(weight.scalar_type());
}

}  // namespace

void set_analytic_router(LayerConversion& conversion, const DenseLayer& layer,
                         std::span<const int64_t> representatives) {
  const at::Tensor rows = at::tensor(at::ArrayRef<int64_t>(representatives.data(), representatives.size()), at::kLong);
  conversion.router.kind = RouterKind::kGatedRows;
  conversion.router.tensors = {{"gate", normalised_rows(layer.weights.gate_proj, rows)},
                               {"up", normalised_rows(layer.weights.up_proj, rows)}};
  conversion.rule.softmax = RoutingRule::Softmax::kBeforeTopK;
  conversion.rule.weights = RoutingRule::Weights::kOnePlusScaledScores;
  conversion.rule.selection_bias = at::zeros({rows.size(0)}, at::kFloat);
  conversion.rule.expert_scale = at::zeros({rows.size(0)}, at::kFloat);
}

}  // namespace moebench
