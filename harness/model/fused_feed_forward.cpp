#include "harness/model/fused_feed_forward.h"

#include <stdexcept>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include "kernels/cpu/fused.h"
#include "kernels/cpu/instruction_set.h"

namespace moebench {
namespace {

kernels::Matrix matrix_of(const at::Tensor& tensor) {
  return {tensor.const_data_ptr(), tensor.size(0), tensor.size(1), tensor.stride(0)};
}

const at::Tensor& any_weights(const MixtureTensors& mixture) {
  return (mixture.shared ? *mixture.shared : mixture.experts.at(0)).weights.gate_proj;
}

std::vector<float> floats(const std::optional<at::Tensor>& tensor) {
  if (!tensor) return {};
  const at::Tensor values = tensor->to(at::kFloat).contiguous();
  return {values.const_data_ptr<float>(), values.const_data_ptr<float>() + values.numel()};
}

}  // namespace

bool KernelNetwork::exists_for(const MixtureTensors& mixture) {
  const at::Tensor& weights = any_weights(mixture);
  const bool is_known_dtype = weights.scalar_type() == at::kFloat || weights.scalar_type() == at::kBFloat16;
  return weights.is_cpu() && is_known_dtype && weights.size(1) % 2 == 0 && kernels::chosen_instruction_set() != nullptr;
}

KernelNetwork::KernelNetwork(const MixtureTensors& mixture) {
  const at::Tensor& weights = any_weights(mixture);
  network_.dtype = weights.scalar_type() == at::kFloat ? kernels::Dtype::kFloat32 : kernels::Dtype::kBFloat16;
  network_.hidden_size = weights.size(1);
  network_.top_k = mixture.top_k;
  for (const ExpertTensors& expert : mixture.experts) network_.experts.push_back(expert_of(expert));
  if (mixture.shared) network_.shared = expert_of(*mixture.shared);
  if (mixture.top_k == 0) return;
  set_router(mixture.router);
  set_rule(mixture.rule);
}

const at::Tensor& KernelNetwork::hold(const at::Tensor& tensor) { return held_.emplace_back(tensor.contiguous()); }

const void* KernelNetwork::hold(const std::optional<at::Tensor>& tensor) {
  return tensor ? hold(*tensor).const_data_ptr() : nullptr;
}

kernels::GatedExpert KernelNetwork::expert_of(const ExpertTensors& expert) {
  return {.gate = matrix_of(hold(expert.weights.gate_proj)),
          .up = matrix_of(hold(expert.weights.up_proj)),
          .down = matrix_of(hold(expert.weights.down_proj)),
          .output_bias = hold(expert.output_bias),
          .absent_bias = hold(expert.absent_bias)};
}

void KernelNetwork::set_router(const RouterSpec& router) {
  using Kind = kernels::Router::Kind;
  const auto set = [&](Kind kind, const char* first, const char* second) {
    network_.router.kind = kind;
    network_.router.first = matrix_of(hold(router.tensors.at(first)));
    if (second != nullptr) network_.router.second = matrix_of(hold(router.tensors.at(second)));
  };
  const auto bias = router.tensors.find("bias");
  if (bias != router.tensors.end()) network_.router.bias = hold(bias->second).const_data_ptr();
  switch (router.kind) {
    case RouterKind::kLinear:
      return set(Kind::kLinear, "weight", nullptr);
    case RouterKind::kQuadratic:
      return set(Kind::kQuadratic, "weight", "square");
    case RouterKind::kGatedRows:
      return set(Kind::kGatedRows, "gate", "up");
    case RouterKind::kTanhMlp:
      return set(Kind::kTanhMlp, "first", "second");
    case RouterKind::kOracle:
    case RouterKind::kStatic:
      break;
  }
  throw std::logic_error("this router has no kernel");
}

void KernelNetwork::set_rule(const RoutingRule& rule) {
  using Kernel = kernels::RoutingRule;
  Kernel& target = network_.rule;
  target.softmax = rule.softmax == RoutingRule::Softmax::kNone         ? Kernel::Softmax::kNone
                   : rule.softmax == RoutingRule::Softmax::kBeforeTopK ? Kernel::Softmax::kBeforeTopK
                                                                       : Kernel::Softmax::kAfterTopK;
  target.weights = rule.weights == RoutingRule::Weights::kUnit     ? Kernel::Weights::kUnit
                   : rule.weights == RoutingRule::Weights::kScores ? Kernel::Weights::kScores
                                                                   : Kernel::Weights::kOnePlusScaledScores;
  target.visits = rule.visits == RoutingRule::Visits::kTopK             ? Kernel::Visits::kTopK
                  : rule.visits == RoutingRule::Visits::kCumulativeMass ? Kernel::Visits::kCumulativeMass
                                                                        : Kernel::Visits::kThreshold;
  target.level = static_cast<float>(rule.level);
  target.scale = static_cast<float>(rule.scale);
  target.selection_bias = floats(rule.selection_bias);
  target.expert_scale = floats(rule.expert_scale);
}

std::unique_ptr<FusedFeedForward> FusedFeedForward::create(const MixtureTensors& mixture) {
  if (!KernelNetwork::exists_for(mixture)) return nullptr;
  const KernelNetwork network(mixture);
  const bool is_adaptive = mixture.rule.visits != RoutingRule::Visits::kTopK;
  return std::unique_ptr<FusedFeedForward>(new FusedFeedForward(
      kernels::make_fused(network.network(), *kernels::chosen_instruction_set()), mixture.top_k, is_adaptive));
}

at::Tensor FusedFeedForward::forward(const at::Tensor& hidden, Routing* routing) const {
  const at::Tensor input = hidden.contiguous();
  at::Tensor output = at::empty_like(input);
  const int64_t num_tokens = input.size(0);
  const bool reports = routing != nullptr && top_k_ > 0;
  const at::Tensor experts = reports ? at::empty({num_tokens, top_k_}, at::kInt) : at::Tensor();
  const at::Tensor weights = reports ? at::empty({num_tokens, top_k_}, at::kFloat) : at::Tensor();
  kernel_->run({.num_tokens = num_tokens,
                .input = input.const_data_ptr(),
                .input_stride = input.size(1),
                .output = output.data_ptr(),
                .output_stride = input.size(1),
                .experts = reports ? experts.data_ptr<int32_t>() : nullptr,
                .weights = reports ? weights.data_ptr<float>() : nullptr,
                .num_threads = at::in_parallel_region() ? 1 : at::get_num_threads()});
  if (!reports) return output;
  const at::Tensor visited = experts.ge(0);
  // -1 - expert is the bitwise complement.
  routing->experts = at::where(visited, experts, experts.bitwise_not()).to(at::kLong);
  routing->weights = weights;
  if (is_adaptive_) routing->visited = visited;
  return output;
}

bool needs_gradients(const at::Tensor& hidden, const GatedMlpWeights& weights) {
  return at::GradMode::is_enabled() && (hidden.requires_grad() || weights.gate_proj.requires_grad() ||
                                        weights.up_proj.requires_grad() || weights.down_proj.requires_grad());
}

}  // namespace moebench
