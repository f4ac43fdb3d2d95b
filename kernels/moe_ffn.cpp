#include "kernels/moe_ffn.h"

#include <stdexcept>
#include <utility>

namespace moebench::kernels {
namespace {

void require(bool holds, const std::string& message) {
  if (!holds) throw std::invalid_argument("moe_ffn: " + message);
}

std::string sizes(int64_t rows, int64_t columns) {
  return "[" + std::to_string(rows) + ", " + std::to_string(columns) + "]";
}

void check_pointer(const void* data, Dtype dtype, const std::string& name) {
  require(data != nullptr, name + " is null");
  require(reinterpret_cast<uintptr_t>(data) % element_size(dtype) == 0, name + " is not aligned to its elements");
}

void check_matrix(const Matrix& matrix, int64_t rows, int64_t columns, Dtype dtype, const std::string& name) {
  require(matrix.rows == rows && matrix.columns == columns,
          name + " is " + sizes(matrix.rows, matrix.columns) + ", not " + sizes(rows, columns));
  require(matrix.row_stride >= columns && matrix.row_stride <= 4 * kMaxSize,
          name + " has a row stride of " + std::to_string(matrix.row_stride));
  check_pointer(matrix.data, dtype, name);
}

void check_optional(const void* data, Dtype dtype, const std::string& name) {
  if (data != nullptr) check_pointer(data, dtype, name);
}

void check_expert(const GatedExpert& expert, int64_t hidden_size, Dtype dtype, const std::string& name) {
  const int64_t width = expert.gate.rows;
  require(width >= 1 && width <= kMaxSize, name + ".gate has " + std::to_string(width) + " rows");
  check_matrix(expert.gate, width, hidden_size, dtype, name + ".gate");
  check_matrix(expert.up, width, hidden_size, dtype, name + ".up");
  check_matrix(expert.down, hidden_size, width, dtype, name + ".down");
  check_optional(expert.output_bias, dtype, name + ".output_bias");
  check_optional(expert.absent_bias, dtype, name + ".absent_bias");
}

void check_router(const Router& router, int64_t num_experts, int64_t hidden_size, Dtype dtype) {
  using enum Router::Kind;
  if (router.kind == kGiven) return;
  check_matrix(router.first, num_experts, hidden_size, dtype, "router.first");
  if (router.kind != kLinear) {
    check_matrix(router.second, num_experts, router.kind == kTanhMlp ? num_experts : hidden_size, dtype,
                 "router.second");
  }
  check_optional(router.bias, dtype, "router.bias");
}

void check_assignments(const MoeFfn& network, const MoeFfnCall& call) {
  const auto num_experts = static_cast<int64_t>(network.experts.size());
  const auto refuse = [](int64_t token, int32_t expert, const std::string& how) {
    require(false, "token " + std::to_string(token) + " visits expert " + std::to_string(expert) + " " + how);
  };
  std::vector<int64_t> last_visitor(network.experts.size(), -1);
  for (int64_t visit = 0; visit < call.num_tokens * network.top_k; ++visit) {
    const int32_t expert = call.experts[visit];
    const int64_t token = visit / network.top_k;
    if (expert < -num_experts || expert >= num_experts) refuse(token, expert, "of " + std::to_string(num_experts));
    if (expert >= 0 && std::exchange(last_visitor[expert], token) == token) refuse(token, expert, "twice");
  }
}

}  // namespace

int64_t element_size(Dtype dtype) { return dtype == Dtype::kFloat32 ? 4 : 2; }

MoeFfn dense_ffn(Dtype dtype, const GatedExpert& network) {
  return {.dtype = dtype, .hidden_size = network.gate.columns, .shared = network};
}

void check_network(const MoeFfn& network) {
  const auto num_experts = static_cast<int64_t>(network.experts.size());
  require(network.hidden_size >= 2 && network.hidden_size <= kMaxSize && network.hidden_size % 2 == 0,
          "hidden_size " + std::to_string(network.hidden_size) + " is not an even number from 2 to " +
              std::to_string(kMaxSize));
  require(num_experts <= kMaxExperts,
          std::to_string(num_experts) + " experts are more than " + std::to_string(kMaxExperts));
  require(num_experts > 0 || network.shared, "no expert and no shared one");
  require(network.top_k >= 0 && network.top_k <= num_experts,
          "top_k " + std::to_string(network.top_k) + " of " + std::to_string(num_experts) + " experts");
  for (int64_t expert = 0; expert < num_experts; ++expert) {
    check_expert(network.experts[expert], network.hidden_size, network.dtype, "experts." + std::to_string(expert));
  }
  if (network.shared) {
    check_expert(*network.shared, network.hidden_size, network.dtype, "shared");
    require(network.shared->absent_bias == nullptr, "shared.absent_bias: every token visits the shared expert");
  }
  if (network.top_k > 0) check_router(network.router, num_experts, network.hidden_size, network.dtype);
  for (const auto& [values, name] : {std::pair(&network.rule.selection_bias, "rule.selection_bias"),
                                     std::pair(&network.rule.expert_scale, "rule.expert_scale")}) {
    require(values->empty() || static_cast<int64_t>(values->size()) == num_experts,
            name + std::string(" has ") + std::to_string(values->size()) + " values for " +
                std::to_string(num_experts) + " experts");
  }
}

void check_call(const MoeFfn& network, const MoeFfnCall& call) {
  require(call.num_tokens >= 0 && call.num_tokens <= kMaxSize,
          "num_tokens " + std::to_string(call.num_tokens) + " is not from 0 to " + std::to_string(kMaxSize));
  require(call.num_threads >= 1 && call.num_threads <= 1024,
          "num_threads " + std::to_string(call.num_threads) + " is not from 1 to 1024");
  if (call.num_tokens == 0) return;
  for (const auto& [stride, name] :
       {std::pair(call.input_stride, "input_stride"), std::pair(call.output_stride, "output_stride")}) {
    require(stride >= network.hidden_size && stride <= 4 * kMaxSize, name + std::string(" ") + std::to_string(stride) +
                                                                         " with a hidden_size of " +
                                                                         std::to_string(network.hidden_size));
  }
  check_pointer(call.input, network.dtype, "input");
  check_pointer(call.output, network.dtype, "output");
  if (network.top_k == 0 || network.router.kind != Router::Kind::kGiven) return;
  require(call.experts != nullptr, "experts is null, and the router is given");
  require(call.weights != nullptr, "weights is null, and the router is given");
  check_assignments(network, call);
}

}  // namespace moebench::kernels
