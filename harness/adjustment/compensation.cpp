#include "harness/adjustment/compensation.h"

#include <ATen/ATen.h>

#include "harness/adjustment/expert_parts.h"
#include "harness/adjustment/moe_readout.h"
#include "harness/adjustment/ridge_regression.h"

namespace moebench {
namespace {

// Of a bias, relative to the number of tokens: small, for it should take up whatever mean is missing.
constexpr double kBiasRidge = 1e-3;

double squared_sum(const at::Tensor& tensor) { return tensor.square().sum(at::kDouble).item<double>(); }

bool experts_overlap(const LayerConversion& conversion, int64_t num_neurons) {
  at::Tensor owners = at::zeros({num_neurons}, at::kLong);
  const auto count = [&](const ExpertSpec& expert) {
    if (expert.neurons.defined()) owners.index_add_(0, expert.neurons, at::ones_like(expert.neurons));
  };
  if (conversion.shared) count(*conversion.shared);
  for (const ExpertSpec& expert : conversion.experts) count(expert);
  return owners.gt(1).any().item<bool>();
}

// Mean activations of the tokens that do not visit an expert, times its down projection.
void set_absent_means(const LayerEvidence& evidence, LayerConversion& conversion) {
  const GatedMlpWeights& dense = evidence.dense();
  const MoeLayer layer(dense, conversion);
  std::vector<at::Tensor> sums(conversion.experts.size());
  at::Tensor num_absent = at::zeros({layer.num_experts()}, at::kDouble);
  for (const EvidenceTokens& window : evidence.windows()) {
    const at::Tensor dense_activations = gated_activations(dense, window.inputs);
    const at::Tensor absent = routing_matrix(layer, window.inputs).visited.logical_not().to(at::kDouble);
    num_absent += absent.sum(0).to(at::kCPU);
    for (size_t expert = 0; expert < sums.size(); ++expert) {
      const at::Tensor activations =
          expert_activations(conversion.experts[expert], window.inputs, dense_activations).to(at::kDouble);
      const at::Tensor sum = activations.t().mv(absent.select(1, static_cast<int64_t>(expert))).to(at::kCPU);
      sums[expert] = sums[expert].defined() ? sums[expert] + sum : sum;
    }
  }
  for (size_t expert = 0; expert < sums.size(); ++expert) {
    ExpertSpec& spec = conversion.experts[expert];
    const double count = num_absent[static_cast<int64_t>(expert)].item<double>();
    if (count == 0) continue;  // there is nothing to know of it
    const at::Tensor mean = sums[expert] / count;
    const at::Tensor down_proj = expert_down_proj(spec, dense).to(at::kCPU, at::kDouble);
    spec.absent_bias = down_proj.mv(mean).to(dense.down_proj.scalar_type());
  }
}

void add_missing_mean(const LayerEvidence& evidence, LayerConversion& conversion) {
  const GatedMlpWeights& dense = evidence.dense();
  const MoeLayer layer(dense, conversion);
  at::Tensor missing = at::zeros({dense.down_proj.size(0)}, at::kDouble);
  double weights = 0;
  for (const EvidenceTokens& window : evidence.windows()) {
    const at::Tensor output = layer.forward(window.inputs);
    missing += (window.targets.to(at::kFloat) - output.to(at::kFloat)).sum({0}, false, at::kDouble).to(at::kCPU);
    weights += routing_matrix(layer, window.inputs).weights.sum(at::kDouble).item<double>();
  }
  const double num_tokens = static_cast<double>(evidence.num_tokens());
  add_constant_output(conversion, (missing / num_tokens).to(dense.down_proj.scalar_type()), weights / num_tokens);
}

}  // namespace

double relative_error(const LayerEvidence& evidence, const LayerConversion& conversion) {
  const MoeLayer layer(evidence.dense(), conversion);
  double error = 0, total = 0;
  for (const EvidenceTokens& window : evidence.windows()) {
    const at::Tensor weights = window.weights.unsqueeze(1), targets = window.targets.to(at::kFloat);
    error += squared_sum((layer.forward(window.inputs).to(at::kFloat) - targets) * weights);
    total += squared_sum(targets * weights);
  }
  return error / total;
}

void compensate_means(const LayerEvidence& evidence, LayerConversion& conversion) {
  const bool stand_in = experts_overlap(conversion, evidence.dense().gate_proj.size(0));
  if (!stand_in && !conversion.experts.empty()) set_absent_means(evidence, conversion);
  add_missing_mean(evidence, conversion);
}

RefitErrors refit_outputs(const LayerEvidence& evidence, double ridge, LayerConversion& conversion) {
  const MoeReadout readout(evidence.dense(), conversion);
  const at::Tensor start = readout.rows();
  RidgeRegression regression(readout.num_features(), start.size(1));
  for (const EvidenceTokens& window : evidence.windows()) {
    const at::Tensor weights = window.weights.unsqueeze(1);
    regression.observe(readout.features(window.inputs).mul_(weights), window.targets.to(at::kFloat) * weights);
  }
  const at::Tensor gram = regression.gram();
  at::Tensor penalty = at::full({readout.num_features()}, ridge, at::kDouble).mul_(gram.diagonal().mean());
  penalty.narrow(0, readout.num_features() - readout.num_biases(), readout.num_biases())
      .fill_(kBiasRidge * static_cast<double>(evidence.num_tokens()));
  const RidgeSolution solution = regression.solve(gram, start, penalty);
  conversion = readout.with_rows(solution.coefficients);
  const double total = regression.squared_targets();
  return {solution.squared_error_at_start / total, solution.squared_error / total};
}

}  // namespace moebench
