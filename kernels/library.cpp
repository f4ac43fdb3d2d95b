#include "kernels/library.h"

#include <algorithm>
#include <optional>
#include <stdexcept>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "kernels/cpu/choice.h"
#include "kernels/cpu/instruction_set.h"

namespace moebench::kernels {
namespace {

at::ScalarType scalar_type(Dtype dtype) { return dtype == Dtype::kFloat32 ? at::kFloat : at::kBFloat16; }

at::Tensor view(const void* data, at::IntArrayRef sizes, int64_t row_stride, Dtype dtype) {
  const std::vector<int64_t> strides =
      sizes.size() == 2 ? std::vector{row_stride, int64_t{1}} : std::vector<int64_t>{1};
  return at::from_blob(const_cast<void*>(data), sizes, strides, at::TensorOptions(scalar_type(dtype)));
}

at::Tensor view(const Matrix& matrix, Dtype dtype) {
  return view(matrix.data, {matrix.rows, matrix.columns}, matrix.row_stride, dtype);
}

std::optional<at::Tensor> bias_view(const void* data, int64_t size, Dtype dtype) {
  if (data == nullptr) return std::nullopt;
  return view(data, {size}, 1, dtype);
}

// Without AVX-512 ATen's bfloat16 products take nine times as long as its float32 ones: whoever has only ATen converts
// first, unless rows are so few that converting the weights takes longer.
constexpr int64_t kFewestRowsToConvert = 16;

struct Expert {
  Expert(const GatedExpert& expert, Dtype dtype, const InstructionSet* instruction_set)
      : dtype_of_many_rows(is_avx2(instruction_set) ? at::kFloat : scalar_type(dtype)),
        gate(view(expert.gate, dtype)),
        up(view(expert.up, dtype)),
        down(view(expert.down, dtype)),
        output_bias(bias_view(expert.output_bias, expert.down.rows, dtype)),
        absent_bias(bias_view(expert.absent_bias, expert.down.rows, dtype)) {}

  at::Tensor forward(const at::Tensor& x) const {
    const at::ScalarType dtype = x.size(0) < kFewestRowsToConvert ? x.scalar_type() : dtype_of_many_rows;
    const at::Tensor rows = x.to(dtype);
    at::Tensor activations = at::linear(rows, gate.to(dtype));
    at::silu_(activations).mul_(at::linear(rows, up.to(dtype)));
    const auto bias = output_bias ? std::optional(output_bias->to(dtype)) : std::nullopt;
    return at::linear(activations, down.to(dtype), bias).to(x.scalar_type());
  }

  at::ScalarType dtype_of_many_rows;
  at::Tensor gate, up, down;
  std::optional<at::Tensor> output_bias, absent_bias;
};

class LibraryKernel : public MoeFfnKernel {
 public:
  explicit LibraryKernel(const MoeFfn& network) : network_(network), instruction_set_(chosen_instruction_set()) {
    check_network(network);
    for (const GatedExpert& expert : network.experts) experts_.emplace_back(expert, network.dtype, instruction_set_);
    if (network.shared) shared_.emplace(*network.shared, network.dtype, instruction_set_);
    if (!routes()) return;
    if (instruction_set_ == nullptr) throw std::invalid_argument("library: a router needs a processor with AVX2");
    const auto floats = [&](const Matrix& matrix) { return view(matrix, network.dtype).to(at::kFloat); };
    router_first_ = floats(network.router.first);
    if (network.router.kind != Router::Kind::kLinear) router_second_ = floats(network.router.second);
    if (network.router.bias != nullptr) {
      router_bias_ = bias_view(network.router.bias, network.router.first.rows, network.dtype)->to(at::kFloat);
    }
  }

  void run(const MoeFfnCall& call) const override {
    check_call(network_, call);
    if (call.num_tokens == 0) return;
    if (at::get_num_threads() != call.num_threads) at::set_num_threads(call.num_threads);
    const at::Tensor x = view(call.input, {call.num_tokens, network_.hidden_size}, call.input_stride, network_.dtype);
    at::Tensor y = view(call.output, {call.num_tokens, network_.hidden_size}, call.output_stride, network_.dtype);
    y.copy_(shared_ ? shared_->forward(x) : at::zeros_like(x));
    if (network_.top_k > 0) visit_experts(call, x, y);
  }

 private:
  bool routes() const { return network_.top_k > 0 && network_.router.kind != Router::Kind::kGiven; }

  at::Tensor logits(const at::Tensor& x) const {
    const at::Tensor first = at::linear(x, router_first_, router_bias_);
    using enum Router::Kind;
    switch (network_.router.kind) {
      case kQuadratic:
        return first + at::linear(x.square(), router_second_);
      case kGatedRows:
        return (at::linear(x, router_second_) * at::silu(at::linear(x, router_first_))).abs();
      case kTanhMlp:
        return at::linear(at::tanh(at::linear(x, router_first_)), router_second_);
      default:
        return first;
    }
  }

  void route(const at::Tensor& x, int32_t* experts, float* weights) const {
    const at::Tensor logits_TE = logits(x.to(at::kFloat)).contiguous();
    const int64_t num_experts = logits_TE.size(1);
    at::parallel_for(0, x.size(0), /*grain_size=*/64, [&](int64_t begin, int64_t end) {
      ExpertChooser chooser(network_.rule, num_experts, network_.top_k, *instruction_set_);
      for (int64_t token = begin; token < end; ++token) {
        chooser.choose(logits_TE.data_ptr<float>() + token * num_experts, experts + token * network_.top_k,
                       weights + token * network_.top_k);
      }
    });
  }

  void visit_experts(const MoeFfnCall& call, const at::Tensor& x, at::Tensor& y) const {
    const int64_t num_visits = call.num_tokens * network_.top_k;
    std::vector<int32_t> own_experts(call.experts ? 0 : num_visits);
    std::vector<float> own_weights(call.weights ? 0 : num_visits);
    int32_t* experts = call.experts ? call.experts : own_experts.data();
    float* weights = call.weights ? call.weights : own_weights.data();
    if (routes()) route(x, experts, weights);

    std::vector<std::vector<int64_t>> tokens(experts_.size());
    std::vector<std::vector<float>> token_weights(experts_.size());
    for (int64_t visit = 0; visit < num_visits; ++visit) {
      if (experts[visit] < 0) continue;
      tokens[experts[visit]].push_back(visit / network_.top_k);
      token_weights[experts[visit]].push_back(weights[visit]);
    }
    for (size_t expert = 0; expert < experts_.size(); ++expert) {
      if (experts_[expert].absent_bias) add_absent_bias(*experts_[expert].absent_bias, tokens[expert], y);
      const auto count = static_cast<int64_t>(tokens[expert].size());
      if (count == 0) continue;
      const at::Tensor rows = at::from_blob(tokens[expert].data(), {count}, at::kLong);
      const at::Tensor factors = at::from_blob(token_weights[expert].data(), {count, 1}, at::kFloat);
      y.index_add_(0, rows, experts_[expert].forward(x.index_select(0, rows)).mul_(factors));
    }
  }

  static void add_absent_bias(const at::Tensor& bias, const std::vector<int64_t>& tokens, at::Tensor& y) {
    at::Tensor is_absent = at::ones({y.size(0), 1}, y.options());
    for (const int64_t token : tokens) is_absent[token] = 0;
    y.addcmul_(is_absent, bias);
  }

  const MoeFfn network_;
  const InstructionSet* instruction_set_;
  std::vector<Expert> experts_;
  std::optional<Expert> shared_;
  at::Tensor router_first_, router_second_;  // float
  std::optional<at::Tensor> router_bias_;
};

}  // namespace

std::unique_ptr<MoeFfnKernel> make_library(const MoeFfn& network) { return std::make_unique<LibraryKernel>(network); }

}  // namespace moebench::kernels
