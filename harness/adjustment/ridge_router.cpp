#include "harness/adjustment/ridge_router.h"

#include <algorithm>
#include <cmath>

#include <ATen/ATen.h>

#include "harness/adjustment/expert_parts.h"
#include "harness/adjustment/ridge_regression.h"
#include "harness/model/router.h"

namespace moebench {
namespace {

// T tokens, D hidden_size, E routed experts, P features.

constexpr double kRidge = 1e-3;  // the regressions have many more tokens than features: it settles only what is flat
constexpr int64_t kTokensPerFeature = 8;
constexpr int64_t kChunk = 4096;

at::Tensor router_features(const at::Tensor& inputs, RouterKind kind) {
  const at::Tensor x = inputs.to(at::kFloat), one = at::ones({x.size(0), 1}, x.options());
  return kind == RouterKind::kQuadratic ? at::cat({x, x.square(), one}, 1) : at::cat({x, one}, 1);
}

// ||down_proj h + offset|| for every row h of activations, [T].
at::Tensor output_norms(const at::Tensor& activations, const at::Tensor& down_proj, const at::Tensor& offset) {
  // With QR = [down_proj, offset], the norm is ||R [h, 1]||: as many products as neurons, not as hidden channels.
  const at::Tensor r = std::get<1>(at::linalg_qr(at::cat({down_proj, offset.unsqueeze(1)}, 1), "r"));
  const at::Tensor bordered = at::cat({activations, at::ones({activations.size(0), 1}, activations.options())}, 1);
  return at::linear(bordered, r).norm(2, {1});
}

at::Tensor contributions(const LayerEvidence& evidence, const LayerConversion& conversion, const TokenSample& tokens,
                         bool means_stand_in) {
  const at::Tensor dense_activations = gated_activations(evidence.dense(), tokens.inputs);
  std::vector<at::Tensor> norms;
  for (const ExpertSpec& expert : conversion.experts) {
    const at::Tensor activations = expert_activations(expert, tokens.inputs, dense_activations).to(at::kFloat);
    const at::Tensor down_proj = expert_down_proj(expert, evidence.dense()).to(activations.options());
    at::Tensor offset = at::zeros({down_proj.size(0)}, down_proj.options());
    if (means_stand_in) {
      offset.sub_(down_proj.mv(activations.mean(0)));
    } else {
      if (expert.output_bias) offset.add_(expert.output_bias->to(offset.options()));
      if (expert.absent_bias) offset.sub_(expert.absent_bias->to(offset.options()));
    }
    norms.push_back(output_norms(activations, down_proj, offset));
  }
  return at::stack(norms, 1) * tokens.weights.unsqueeze(1);
}

at::Tensor chosen(const at::Tensor& scores, int64_t top_k) {
  return at::zeros_like(scores, at::kBool).scatter_(1, std::get<1>(scores.topk(top_k, 1)), true);
}

// rows: [P, E].
RouterSpec router_of(const at::Tensor& rows, RouterKind kind, int64_t hidden_size, at::ScalarType dtype) {
  const auto weight = [&](int64_t first) { return rows.narrow(0, first, hidden_size).t().to(dtype).contiguous(); };
  RouterSpec router{.kind = kind};
  router.tensors["weight"] = weight(0);
  if (kind == RouterKind::kQuadratic) router.tensors["square"] = weight(hidden_size);
  router.tensors["bias"] = rows.select(0, -1).to(dtype).clone();
  return router;
}

}  // namespace

double fit_ridge_router(const LayerEvidence& evidence, RouterKind kind, bool means_stand_in,
                        LayerConversion& conversion) {
  const at::Tensor& gate_proj = evidence.dense().gate_proj;
  const int64_t hidden_size = gate_proj.size(1);
  const int64_t num_features = (kind == RouterKind::kQuadratic ? 2 : 1) * hidden_size + 1;
  const TokenSample tokens = evidence.sample(std::max(kChunk, kTokensPerFeature * num_features));
  const at::Tensor targets_TE = contributions(evidence, conversion, tokens, means_stand_in);
  const at::Tensor features_TP = router_features(tokens.inputs, kind);

  RidgeRegression regression(num_features, targets_TE.size(1));
  for (int64_t first = 0; first < features_TP.size(0); first += kChunk) {
    const int64_t count = std::min(kChunk, features_TP.size(0) - first);
    regression.observe(features_TP.narrow(0, first, count), targets_TE.narrow(0, first, count));
  }
  const at::Tensor gram = regression.gram();
  const at::Tensor start = at::zeros({num_features, targets_TE.size(1)}, at::kDouble);
  // A feature that is always 0 still needs some.
  const at::Tensor penalty = gram.diagonal() * kRidge + gram.diagonal().mean() * 1e-9;
  const at::Tensor rows_PE = regression.solve(gram, start, penalty).coefficients;
  conversion.router = router_of(rows_PE, kind, hidden_size, gate_proj.scalar_type());

  const at::Tensor predicted_TE = at::linear(features_TP, rows_PE.t().to(features_TP.options()));
  const at::Tensor agreed =
      chosen(predicted_TE, conversion.top_k).logical_and(chosen(targets_TE, conversion.top_k)).sum();
  return agreed.item<double>() / static_cast<double>(targets_TE.size(0) * conversion.top_k);
}

void scale_to_unit_spread(const LayerEvidence& evidence, RouterSpec& router) {
  const at::Tensor logits_TE = router_logits(router, evidence.sample(kChunk).inputs);
  const double spread = logits_TE.std(1, /*unbiased=*/false).median().item<double>();
  if (spread == 0) return;
  const double factor = std::exp2(-std::round(std::log2(spread)));
  for (auto& [name, tensor] : router.tensors) tensor = tensor * factor;
}

}  // namespace moebench
