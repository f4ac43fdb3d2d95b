#include "kernels/cuda/device_network.h"

#include <algorithm>

#include "kernels/cuda/packed_weights.h"

namespace moebench::kernels::cuda {

NetworkMemory::NetworkMemory(const MoeFfn& network) {
  network_.hidden_size = static_cast<int32_t>(network.hidden_size);
  network_.padded_hidden_size = static_cast<int32_t>(padded(network.hidden_size, kPadding));
  network_.num_experts = static_cast<int32_t>(network.experts.size());
  network_.top_k = static_cast<int32_t>(network.top_k);
  network_.has_shared = network.shared.has_value();
  copy_experts(network);
  if (network.top_k > 0) copy_router(network);
  const RoutingRule& rule = network.rule;
  network_.rule = {rule.softmax,
                   rule.weights,
                   rule.visits,
                   rule.level,
                   rule.scale,
                   keep(rule.selection_bias, "rule.selection_bias"),
                   keep(rule.expert_scale, "rule.expert_scale")};
}

// Null where there are none.
template <class Value>
const Value* NetworkMemory::keep(const std::vector<Value>& values, const std::string& name) {
  if (values.empty()) return nullptr;
  memory_.push_back(uploaded(values, name));
  return memory_.back().data<Value>();
}

DeviceExpert NetworkMemory::copy_expert(const GatedExpert& expert, Dtype dtype, const std::string& name) {
  const int64_t hidden_size = network_.hidden_size, padded_size = padded(hidden_size, kTileRows);
  return {reinterpret_cast<const uint4*>(keep(packed_gate_up(expert, dtype), name + ".gate and up")),
          reinterpret_cast<const uint4*>(keep(packed_down(expert, dtype), name + ".down")),
          keep(float_vector(expert.output_bias, hidden_size, padded_size, dtype), name + ".output_bias"),
          keep(float_vector(expert.absent_bias, hidden_size, padded_size, dtype), name + ".absent_bias"),
          static_cast<int32_t>(expert.gate.rows),
          static_cast<int32_t>(padded(expert.gate.rows, kPadding))};
}

void NetworkMemory::copy_experts(const MoeFfn& network) {
  std::vector<DeviceExpert> experts;
  std::vector<float> absent_sum;
  for (size_t expert = 0; expert < network.experts.size(); ++expert) {
    experts.push_back(copy_expert(network.experts[expert], network.dtype, "experts." + std::to_string(expert)));
    if (network.top_k > 0) widest_routed_ = std::max<int64_t>(widest_routed_, experts.back().padded_width);
    const int64_t hidden_size = network.hidden_size;
    const std::vector<float> absent =
        float_vector(network.experts[expert].absent_bias, hidden_size, padded(hidden_size, kTileRows), network.dtype);
    absent_sum.resize(std::max(absent_sum.size(), absent.size()));
    for (size_t i = 0; i < absent.size(); ++i) absent_sum[i] += absent[i];
  }
  experts.emplace_back();
  if (network.shared) {
    experts.back() = copy_expert(*network.shared, network.dtype, "shared");
    shared_width_ = experts.back().padded_width;
  }
  network_.experts = keep(experts, "experts");
  network_.absent_sum = keep(absent_sum, "absent_bias");
}

void NetworkMemory::copy_router(const MoeFfn& network) {
  using Kind = Router::Kind;
  const Router& router = network.router;
  network_.router.kind = router.kind;
  if (router.kind == Kind::kGiven) return;
  constexpr int64_t kRows = 4;  // that a warp multiplies at once
  const auto rows = [&](const Matrix& matrix) {
    return padded_matrix(matrix, padded(matrix.rows, kRows), network_.padded_hidden_size, network.dtype);
  };
  network_.router.first = keep(rows(router.first), "router.first");
  if (router.kind == Kind::kQuadratic || router.kind == Kind::kGatedRows) {
    network_.router.second = keep(rows(router.second), "router.second");
  }
  if (router.kind == Kind::kTanhMlp) {
    network_.router.second = keep(float_matrix(router.second, network.dtype), "router.second");
  }
  const int64_t num_experts = network_.num_experts;
  network_.router.bias = keep(float_vector(router.bias, num_experts, num_experts, network.dtype), "router.bias");
}

}  // namespace moebench::kernels::cuda
