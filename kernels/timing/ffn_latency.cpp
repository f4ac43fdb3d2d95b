#include "kernels/timing/ffn_latency.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <stdexcept>

#include "kernels/bfloat16.h"
#include "kernels/cpu/team.h"
#include "kernels/variants.h"

namespace moebench::kernels {
namespace {

// Normal values, row after row.
std::vector<char> random_inputs(int64_t count, Dtype dtype, uint64_t seed) {
  std::vector<char> inputs(count * element_size(dtype));
  std::mt19937_64 generator(seed);
  std::normal_distribution<float> normal;
  for (int64_t i = 0; i < count; ++i) {
    if (dtype == Dtype::kFloat32) {
      reinterpret_cast<float*>(inputs.data())[i] = normal(generator);
    } else {
      reinterpret_cast<uint16_t*>(inputs.data())[i] = bfloat16_of(normal(generator));
    }
  }
  return inputs;
}

struct Traffic {
  double bytes = 0, flops = 0, neurons = 0, experts_hit = 0, load = 0;  // neurons: of a token
};

int64_t width(const GatedExpert& expert) { return expert.gate.rows; }

Traffic traffic_of(const MoeFfn& network, int64_t num_tokens, const std::vector<int32_t>& experts) {
  std::vector<int64_t> visits(network.experts.size());
  for (const int32_t expert : experts) {
    if (expert >= 0) ++visits[expert];
  }
  const auto hidden_size = static_cast<double>(network.hidden_size);
  const auto tokens = static_cast<double>(num_tokens);
  double weights = 0, products = 0, num_visits = 0, busiest = 0;
  Traffic traffic;
  const auto add = [&](int64_t neurons, double times) {
    weights += 3 * hidden_size * static_cast<double>(neurons);
    products += 3 * hidden_size * static_cast<double>(neurons) * times;
    traffic.neurons += static_cast<double>(neurons) * times / tokens;
  };
  if (network.shared) add(width(*network.shared), tokens);
  for (size_t expert = 0; expert < visits.size(); ++expert) {
    if (visits[expert] == 0) continue;
    const auto times = static_cast<double>(visits[expert]);
    add(width(network.experts[expert]), times);
    traffic.experts_hit += 1;
    num_visits += times;
    busiest = std::max(busiest, times);
  }
  if (num_visits > 0) traffic.load = busiest * static_cast<double>(visits.size()) / num_visits;
  if (network.top_k > 0 && network.router.kind != Router::Kind::kGiven) {
    const double router = hidden_size * static_cast<double>(visits.size());
    weights += router;
    products += router * tokens;
  }
  traffic.bytes = (weights + 2 * tokens * hidden_size) * static_cast<double>(element_size(network.dtype));
  traffic.flops = 2 * products;
  return traffic;
}

// A stack by a variant, ready to be called.
class Arm {
 public:
  Arm(const LayerStack& stack, const std::string& variant) : stack_(stack), variant_(variant) {
    for (const MoeFfn& layer : stack.layers) kernels_.push_back(moe_ffn_variant(variant).create(layer));
  }

  void run(int64_t round, MoeFfnCall call) const {
    const auto layer = static_cast<size_t>(round) % kernels_.size();
    call.input = input(layer, round, call);
    kernels_[layer]->run(call);
  }

  const LayerStack& stack() const { return stack_; }
  const std::string& variant() const { return variant_; }

  // Means over the layers.
  Traffic traffic(MoeFfnCall call) const {
    Traffic mean;
    const auto n = static_cast<double>(kernels_.size());
    for (size_t layer = 0; layer < kernels_.size(); ++layer) {
      const MoeFfn& network = stack_.layers[layer];
      std::vector<int32_t> experts(call.num_tokens * network.top_k);
      call.experts = experts.data();
      call.input = input(layer, 0, call);
      kernels_[layer]->run(call);
      const Traffic traffic = traffic_of(network, call.num_tokens, experts);
      mean.bytes += traffic.bytes / n;
      mean.flops += traffic.flops / n;
      mean.neurons += traffic.neurons / n;
      mean.experts_hit += traffic.experts_hit / n;
      mean.load += traffic.load / n;
    }
    return mean;
  }

 private:
  const void* input(size_t layer, int64_t round, const MoeFfnCall& call) const {
    if (stack_.inputs.empty()) return call.input;
    const int64_t first = round * call.num_tokens % (stack_.num_inputs - call.num_tokens + 1);
    return static_cast<const char*>(stack_.inputs[layer]) +
           first * call.input_stride * element_size(stack_.layers[layer].dtype);
  }

  const LayerStack& stack_;
  std::string variant_;
  std::vector<std::unique_ptr<MoeFfnKernel>> kernels_;
};

// All arms with one number of tokens.
class TokenCount {
 public:
  TokenCount(const std::vector<Arm>& arms, int64_t num_tokens, const LatencyOptions& options)
      : arms_(arms), options_(options) {
    const MoeFfn& network = arms.front().stack().layers.front();
    inputs_ = random_inputs(num_tokens * network.hidden_size, network.dtype, options.seed);
    outputs_.resize(inputs_.size());
    call_ = {.num_tokens = num_tokens,
             .input = inputs_.data(),
             .input_stride = network.hidden_size,
             .output = outputs_.data(),
             .output_stride = network.hidden_size,
             .num_threads = options.num_threads};
  }

  std::vector<LatencyRow> measure(const std::function<void()>& between) const {
    std::vector<TimedArm> timed;
    for (const Arm& arm : arms_) timed.push_back(turn(arm, 0));
    // Every dense one once more, half a rotation away, where it finds nothing that the first left in the cache: how far
    // two that are alike lie apart.
    const auto is_dense = [&](const Arm& arm) { return &arm.stack() == &arms_.front().stack(); };
    const auto num_dense = static_cast<size_t>(std::count_if(arms_.begin(), arms_.end(), is_dense));
    for (size_t dense = 0; dense < num_dense; ++dense) {
      timed.push_back(turn(arms_[dense], static_cast<int64_t>(arms_[dense].stack().layers.size()) / 2));
    }
    const auto seconds = time_in_turns(timed, options_.limits, between);
    size_t best = 0;
    for (size_t dense = 1; dense < num_dense; ++dense) {
      if (quantile(seconds[dense], 0.5) < quantile(seconds[best], 0.5)) best = dense;
    }
    const PairedRatio same = paired_ratio(seconds[arms_.size() + best], seconds[best]);
    std::vector<LatencyRow> rows;
    const double dense_neurons = arms_.front().traffic(call_).neurons;
    for (size_t arm = 0; arm < arms_.size(); ++arm) {
      const Traffic traffic = arms_[arm].traffic(call_);
      const PairedRatio ratio = arm == best ? same : paired_ratio(seconds[arm], seconds[best]);
      rows.push_back({.num_tokens = call_.num_tokens,
                      .network = arms_[arm].stack().name,
                      .variant = arms_[arm].variant(),
                      .active_ratio = traffic.neurons / dense_neurons,
                      .seconds = seconds[arm],
                      .ratio = ratio,
                      .same = same,
                      .verdict = arm == best ? Verdict::kIndistinguishable : judge(ratio, same),
                      .bytes = traffic.bytes,
                      .flops = traffic.flops,
                      .experts_hit = traffic.experts_hit,
                      .load = traffic.load,
                      .is_best_dense = arm == best});
    }
    return rows;
  }

 private:
  TimedArm turn(const Arm& arm, int64_t first_layer) const {
    return {arm.variant(), [&arm, first_layer, this](int64_t round) { arm.run(round + first_layer, call_); }};
  }

  const std::vector<Arm>& arms_;
  const LatencyOptions& options_;
  std::vector<char> inputs_;
  std::vector<char> outputs_;
  MoeFfnCall call_;
};

}  // namespace

std::vector<LatencyRow> measure_ffn_latency(const std::vector<LayerStack>& stacks, const LatencyOptions& options) {
  for (const LayerStack& stack : stacks) {
    for (const int64_t num_tokens : options.num_tokens) {
      if (stack.inputs.empty() || num_tokens <= stack.num_inputs) continue;
      throw std::invalid_argument("latency: " + std::to_string(num_tokens) + " tokens of " +
                                  std::to_string(stack.num_inputs) + " that the text gives");
    }
  }
  std::vector<Arm> arms;
  for (const LayerStack& stack : stacks) {
    for (const std::string& variant : options.variants) arms.emplace_back(stack, variant);
  }
  std::vector<LatencyRow> rows;
  for (size_t i = 0; i < options.num_tokens.size(); ++i) {
    // Whatever ran before, its threads are awake when the next is timed: else who follows an arm that leaves them to
    // sleep pays for waking them.
    const auto between = [&] {
      if (options.progress) options.progress(static_cast<double>(i) / static_cast<double>(options.num_tokens.size()));
      run_team(options.num_threads, [](int, int) {});
    };
    const TokenCount measurement(arms, options.num_tokens[i], options);
    for (LatencyRow& row : measurement.measure(between)) rows.push_back(std::move(row));
  }
  return rows;
}

int64_t break_even_tokens(std::vector<LatencyRow> rows, const std::string& network, const std::string& variant) {
  std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.num_tokens < b.num_tokens; });
  int64_t from = 0;
  for (const LatencyRow& row : rows) {
    if (row.network != network || row.variant != variant) continue;
    if (row.verdict != Verdict::kFaster) {
      from = 0;
    } else if (from == 0) {
      from = row.num_tokens;
    }
  }
  return from;
}

double ceiling_share(const LatencyRow& row, const Ceilings& ceilings, Dtype dtype) {
  const double seconds = quantile(row.seconds, 0.5);
  return std::max(row.bytes / seconds / ceilings.read_bytes_per_second, row.flops / seconds / ceilings.flops(dtype));
}

int64_t layers_for_cold_weights(double bytes_of_a_call) {
  // Five times the 32 MB that a core of such machines has for itself and its neighbours; what the system reports is all
  // of the processor's.
  constexpr double kColdBytes = 160 << 20;
  return std::max<int64_t>(2, static_cast<int64_t>(std::ceil(kColdBytes / bytes_of_a_call)));
}

}  // namespace moebench::kernels
