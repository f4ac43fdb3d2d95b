#include "kernels/cuda/moe_ffn.h"

#include <algorithm>
#include <mutex>
#include <optional>
#include <stdexcept>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/workspace.h"
#include "kernels/trace_range.h"

namespace moebench::kernels::cuda {
namespace {

const MoeFfn& checked(const MoeFfn& network, const Options& options) {
  check_network(network);
  if (options.most_tokens >= 1 && options.most_tokens <= 65535) return network;
  throw std::invalid_argument("cuda: most_tokens " + std::to_string(options.most_tokens) + " is not from 1 to 65535");
}

// A stream of its own for calls from the host, and their inputs and outputs on the device.
struct HostCalls {
  HostCalls(const MoeFfn& network, int64_t most_tokens)
      : input(most_tokens * network.hidden_size * element_size(network.dtype), "most_tokens: inputs"),
        output(most_tokens * network.hidden_size * element_size(network.dtype), "most_tokens: outputs"),
        experts(most_tokens * network.top_k * sizeof(int32_t), "most_tokens: assignments"),
        weights(most_tokens * network.top_k * sizeof(float), "most_tokens: assignments") {
    check(cudaStreamCreate(&stream), "a stream");
  }
  ~HostCalls() { cudaStreamDestroy(stream); }
  HostCalls(const HostCalls&) = delete;

  DeviceMemory input, output, experts, weights;
  cudaStream_t stream = nullptr;
};

class Kernel : public DeviceMoeFfn {
 public:
  Kernel(const MoeFfn& network, const Options& options);
  void run(const MoeFfnCall& call) const override;
  void enqueue(const MoeFfnCall& call, void* stream) const override;

 private:
  void enqueue_part(const MoeFfnCall& call, cudaStream_t stream) const;
  DeviceCall device_call(const MoeFfnCall& call, const Launch& how) const;
  void run_few(const DeviceCall& call, const Launch& how) const;
  void run_many(const DeviceCall& call, const Launch& how) const;
  void run_part(const MoeFfnCall& call) const;
  // The call of `count` of the tokens from `first` on, wherever its pointers point.
  MoeFfnCall part(const MoeFfnCall& call, int64_t first, int64_t count) const;
  template <class Function>
  void for_parts(const MoeFfnCall& call, const Function& function) const;
  bool routes() const { return network_.top_k > 0 && network_.router.kind != Router::Kind::kGiven; }

  const MoeFfn network_;  // its weights are not read any more
  const MoeFfn sizes_;    // without a router: what is checked of a call whose experts the host cannot read
  const Strategy strategy_;
  const int64_t most_tokens_;
  const NetworkMemory memory_;
  const CallWorkspace workspace_;
  std::optional<FewWorkspace> few_;
  std::optional<ManyWorkspace> many_;
  mutable std::mutex mutex_;  // of host_
  mutable std::optional<HostCalls> host_;
};

Kernel::Kernel(const MoeFfn& network, const Options& options)
    : network_(checked(network, options)),
      sizes_{.dtype = network.dtype, .hidden_size = network.hidden_size},
      strategy_(options.strategy),
      most_tokens_(options.strategy == Strategy::kDecode ? kFewTokens : options.most_tokens),
      memory_(network),
      workspace_(memory_.network(), network.dtype, std::max<int64_t>(most_tokens_, kFewTokens)) {
  check(prepare_kernels(network.dtype), "this program's kernels");
  if (strategy_ == Strategy::kDecode || strategy_ == Strategy::kAuto) {
    few_.emplace(memory_, network.dtype);
    // Without routing, who visits whom never changes.
    if (network.top_k == 0)
      check(launch_route_few({network.dtype, nullptr}, memory_.network(), {}, few_->few()), "route");
  }
  if (strategy_ != Strategy::kDecode) {
    many_.emplace(memory_, network.dtype, most_tokens_, strategy_ == Strategy::kComposite);
  }
  check(cudaDeviceSynchronize(), "weights");
}

MoeFfnCall Kernel::part(const MoeFfnCall& call, int64_t first, int64_t count) const {
  const int64_t bytes = element_size(network_.dtype);
  MoeFfnCall part = call;
  part.num_tokens = count;
  part.input = static_cast<const char*>(call.input) + first * call.input_stride * bytes;
  part.output = static_cast<char*>(call.output) + first * call.output_stride * bytes;
  if (call.experts != nullptr) part.experts += first * network_.top_k;
  if (call.weights != nullptr) part.weights += first * network_.top_k;
  return part;
}

template <class Function>
void Kernel::for_parts(const MoeFfnCall& call, const Function& function) const {
  for (int64_t first = 0; first < call.num_tokens; first += most_tokens_) {
    function(part(call, first, std::min(most_tokens_, call.num_tokens - first)));
  }
}

void Kernel::enqueue(const MoeFfnCall& call, void* stream) const {
  check_call(sizes_, call);
  if (network_.top_k > 0 && !routes() && call.num_tokens > 0 && (call.experts == nullptr || call.weights == nullptr)) {
    throw std::invalid_argument("cuda: experts or weights is null, and the router is given");
  }
  const TraceRange trace(network_.top_k > 0 ? TraceStage::kMixture : TraceStage::kDense, call.num_tokens);
  for_parts(call, [&](const MoeFfnCall& part) { enqueue_part(part, static_cast<cudaStream_t>(stream)); });
}

// Rows that device code can read as they are, else copies of them.
DeviceCall Kernel::device_call(const MoeFfnCall& call, const Launch& how) const {
  const DeviceNetwork& network = memory_.network();
  const int64_t bytes = element_size(network_.dtype), chunk = sizeof(uint4);
  DeviceCall result{.num_tokens = static_cast<int32_t>(call.num_tokens),
                    .input = static_cast<const uint4*>(call.input),
                    .input_chunks = call.input_stride * bytes / chunk,
                    .output = call.output,
                    .output_stride = call.output_stride,
                    .experts = call.experts ? call.experts : workspace_.experts.data<int32_t>(),
                    .weights = call.weights ? call.weights : workspace_.weights.data<float>()};
  const bool is_aligned =
      reinterpret_cast<uintptr_t>(call.input) % chunk == 0 && call.input_stride * bytes % chunk == 0;
  if (is_aligned && network.hidden_size == network.padded_hidden_size) return result;
  check(launch_pad_rows(how, call.input, call.input_stride, network.hidden_size, result.num_tokens,
                        workspace_.rows.data<void>(), network.padded_hidden_size),
        "pad_rows");
  result.input = workspace_.rows.data<uint4>();
  result.input_chunks = network.padded_hidden_size * bytes / chunk;
  return result;
}

void Kernel::enqueue_part(const MoeFfnCall& call, cudaStream_t stream) const {
  const Launch how{network_.dtype, stream};
  const DeviceCall device = device_call(call, how);
  const bool is_few = few_ && (!many_ || call.num_tokens <= kFewTokens);
  is_few ? run_few(device, how) : run_many(device, how);
}

void Kernel::run_few(const DeviceCall& call, const Launch& how) const {
  const DeviceNetwork& network = memory_.network();
  const FewTokens& few = few_->few();
  if (network.top_k > 0) {
    const TraceRange trace(TraceStage::kRoute, call.num_tokens);
    check(launch_route_few(how, network, call, few), "route_few");
  }
  const int most_visited =
      std::min(network.num_experts, call.num_tokens * network.top_k) + (network.has_shared ? 1 : 0);
  {
    const TraceRange trace(TraceStage::kGateUp, call.num_tokens);
    const auto widest = static_cast<int>(std::max(memory_.widest_routed(), memory_.shared_width()));
    check(launch_activate_few(how, network, call, few, most_visited, widest), "activate_few");
  }
  const TraceRange trace(TraceStage::kDown, call.num_tokens);
  check(launch_combine_few(how, network, call, few), "combine_few");
}

void Kernel::run_many(const DeviceCall& call, const Launch& how) const {
  const DeviceNetwork& network = memory_.network();
  const ManyTokens& many = many_->many();
  // Of few visits a large tile would compute mostly nothing. Nobody has measured where that begins to matter.
  constexpr int64_t kLargeTileVisits = 48;
  const int64_t visits = int64_t{call.num_tokens} * std::max(network.top_k, 1) / std::max(network.num_experts, 1);
  const TileSize size = visits >= kLargeTileVisits ? TileSize::kLarge : TileSize::kSmall;
  {
    const TraceRange trace(TraceStage::kRoute, call.num_tokens);
    if (routes()) check(launch_route_many(how, network, call), "route_many");
    check(launch_list_visits(how, network, call, many), "list_visits");
  }
  if (many.gathered != nullptr) {
    const TraceRange trace(TraceStage::kGather, call.num_tokens);
    check(launch_gather_rows(how, network, call, many), "gather_rows");
  }
  {
    const TraceRange trace(TraceStage::kGateUp, call.num_tokens);
    const auto widest = static_cast<int>(std::max(memory_.widest_routed(), memory_.shared_width()));
    check(launch_gate_up(how, network, call, many, size, widest), "multiply_gate_up");
  }
  if (many.gate_up != nullptr) {
    const TraceRange trace(TraceStage::kActivate, call.num_tokens);
    check(launch_activate_rows(how, many.gate_up, many.activations, call.num_tokens * network.top_k,
                               many.activation_chunks),
          "activate_rows");
    check(launch_activate_rows(how, many.shared_gate_up, many.shared_activations, call.num_tokens, many.shared_chunks),
          "activate_rows");
  }
  {
    const TraceRange trace(TraceStage::kDown, call.num_tokens);
    check(launch_down(how, network, call, many, size), "multiply_down");
  }
  const TraceRange trace(TraceStage::kCombine, call.num_tokens);
  check(launch_sum_visits(how, network, call, many), "sum_visits");
}

void Kernel::run(const MoeFfnCall& call) const {
  check_call(network_, call);
  const std::lock_guard lock(mutex_);
  if (!host_) host_.emplace(network_, most_tokens_);
  for_parts(call, [&](const MoeFfnCall& part) { run_part(part); });
}

// There, computed, and back.
void Kernel::run_part(const MoeFfnCall& call) const {
  const size_t bytes = element_size(network_.dtype), row = network_.hidden_size * bytes;
  const size_t visits = call.num_tokens * network_.top_k;
  const auto copy = [&](void* target, size_t target_pitch, const void* source, size_t source_pitch, size_t width,
                        cudaMemcpyKind kind, const char* what) {
    if (width == 0) return;
    check(cudaMemcpy2DAsync(target, target_pitch, source, source_pitch, width, call.num_tokens, kind, host_->stream),
          what);
  };
  const size_t expert_row = network_.top_k * sizeof(int32_t), weight_row = network_.top_k * sizeof(float);
  copy(host_->input.data<void>(), row, call.input, call.input_stride * bytes, row, cudaMemcpyHostToDevice, "input");
  if (!routes() && visits > 0) {
    copy(host_->experts.data<void>(), expert_row, call.experts, expert_row, expert_row, cudaMemcpyHostToDevice,
         "experts");
    copy(host_->weights.data<void>(), weight_row, call.weights, weight_row, weight_row, cudaMemcpyHostToDevice,
         "weights");
  }
  MoeFfnCall device = call;
  device.input = host_->input.data<void>();
  device.input_stride = device.output_stride = network_.hidden_size;
  device.output = host_->output.data<void>();
  device.experts = host_->experts.data<int32_t>();
  device.weights = host_->weights.data<float>();
  enqueue(device, host_->stream);
  copy(call.output, call.output_stride * bytes, device.output, row, row, cudaMemcpyDeviceToHost, "output");
  if (routes() && call.experts != nullptr) {
    copy(call.experts, expert_row, device.experts, expert_row, expert_row, cudaMemcpyDeviceToHost, "experts");
  }
  if (routes() && call.weights != nullptr) {
    copy(call.weights, weight_row, device.weights, weight_row, weight_row, cudaMemcpyDeviceToHost, "weights");
  }
  check(cudaStreamSynchronize(host_->stream), "a call");
}

}  // namespace

std::unique_ptr<DeviceMoeFfn> make_moe_ffn(const MoeFfn& network, const Options& options) {
  return std::make_unique<Kernel>(network, options);
}

}  // namespace moebench::kernels::cuda
