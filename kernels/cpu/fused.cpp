#include "kernels/cpu/fused.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "kernels/cpu/choice.h"
#include "kernels/cpu/operands.h"
#include "kernels/cpu/packed_weights.h"
#include "kernels/cpu/router_logits.h"
#include "kernels/cpu/row_tiles.h"
#include "kernels/cpu/team.h"
#include "kernels/trace_range.h"

namespace moebench::kernels {
namespace {

// Tokens of one pass through the stages: enough for products to be bound by arithmetic, few enough for a thread's
// output columns to stay in its cache.
constexpr int64_t kBlockTokens = 1024;
// Up to so many tokens one thread routes alone: barriers would cost more than they save.
constexpr int64_t kRoutedAlone = 16;
constexpr int64_t kStretchBytes = 4 << 20;  // at most, so that a thread which is held up leaves work to the others
// Of a panel of down_proj that is multiplied at once: what a dense network's neurons would push out of the cache.
constexpr int64_t kSegmentSteps = 1024;
constexpr int64_t kSumsBytes = 256 << 10;  // of a thread's output columns
// Of gate_up's panels that a thread takes at once, for its second cache.
constexpr int64_t kPanelsBytes = 512 << 10;
constexpr int64_t kHalfPanel = kPanelColumns / 2;

// The visits of one expert in a block: rows of the activations, and which tokens they are.
struct Visits {
  const PackedExpert* expert;
  int64_t num_rows;
  const int32_t* tokens;  // within the block, ascending; null: all of them in order
  const float* weights;   // null: 1
  char* activations;      // [num_rows, padded_width]
  int64_t first_panel;    // of gate_up among those of all visits
};

// Grows and stays: allocated once a thread, not once a call.
struct Workspace {
  std::vector<int32_t> experts_TK;
  std::vector<float> weights_TK;
  std::vector<int32_t> visit_counts;  // [threads, E], then where each thread's visits of an expert begin
  std::vector<int32_t> visit_tokens;
  std::vector<float> visit_weights;
  std::vector<Visits> visits;
  AlignedMemory activations;
};

class FusedKernel;

// The stages of one block of tokens, which all threads of a team go through together.
class Pass {
 public:
  Pass(const FusedKernel& kernel, const MoeFfnCall& call, Workspace& workspace, int64_t num_tokens, int32_t* experts_TK,
       float* weights_TK)
      : kernel_(kernel),
        call_(call),
        workspace_(workspace),
        num_tokens_(num_tokens),
        experts_TK_(experts_TK),
        weights_TK_(weights_TK) {}

  void run(int thread, int num_threads);

 private:
  void assign(int thread, int num_threads);
  void route(int64_t begin, int64_t end);
  void count(int64_t begin, int64_t end, int32_t* counts) const;
  void plan(int num_threads);
  void place(int64_t begin, int64_t end, int32_t* positions);
  void activate(int num_threads);
  void activate_panels(const Visits& visits, int64_t first_panel, int64_t num_panels) const;
  void combine(int num_threads);
  void combine_columns(int64_t first_panel, int64_t num_panels, float* sums) const;
  void accumulate(const Visits& visits, int64_t first_panel, int64_t num_panels, float* sums, int64_t row_floats) const;
  int64_t panels_a_tile(int64_t num_panels) const;
  bool is_few() const;
  int64_t pieces_a_thread() const { return is_few() ? 1 : 4; }  // more, so that one that is held up leaves some

  const char* input(int64_t token) const;
  int64_t routed() const;

  const FusedKernel& kernel_;
  const MoeFfnCall& call_;
  Workspace& workspace_;
  const int64_t num_tokens_;
  int32_t* const experts_TK_;
  float* const weights_TK_;
  int64_t num_gate_up_panels_ = 0;
  std::atomic<int64_t> next_gate_up_{0}, next_columns_{0};  // pieces
  Barrier barrier_;
};

class FusedKernel : public MoeFfnKernel {
 public:
  FusedKernel(const MoeFfn& network, const InstructionSet& instruction_set, int64_t few_tokens);
  void run(const MoeFfnCall& call) const override;

 private:
  friend class Pass;
  void run_block(const MoeFfnCall& call, int64_t first_token, int64_t num_tokens, Workspace& workspace) const;

  MoeFfn network_;  // its weights are not read any more
  const InstructionSet& instruction_set_;
  const MicroKernels& micro_kernels_;
  const int64_t few_tokens_;
  PanelMemory panel_memory_;
  std::vector<PackedExpert> experts_;
  std::optional<PackedExpert> shared_;
  std::optional<PackedRouter> router_;
  std::vector<float> absent_sum_;  // [D] padded: of all experts' absent biases; or empty
  int64_t widest_visits_ = 0;      // activations of a token at most
  int64_t num_output_panels_ = 0;
};

FusedKernel::FusedKernel(const MoeFfn& network, const InstructionSet& instruction_set, int64_t few_tokens)
    : network_(network),
      instruction_set_(instruction_set),
      micro_kernels_(network.dtype == Dtype::kFloat32 ? instruction_set.float32 : instruction_set.bfloat16),
      few_tokens_(few_tokens),
      num_output_panels_(divided_up(network.hidden_size, kPanelColumns)) {
  check_network(network);
  const bool routes = network.top_k > 0 && network.router.kind != Router::Kind::kGiven;
  int64_t panel_bytes = routes ? PackedRouter::panel_bytes(network) : 0;
  for (const GatedExpert& expert : network.experts) panel_bytes += PackedExpert::panel_bytes(expert, network.dtype);
  if (network.shared) panel_bytes += PackedExpert::panel_bytes(*network.shared, network.dtype);
  panel_memory_ = PanelMemory(panel_bytes);

  std::vector<int64_t> widths;
  for (const GatedExpert& expert : network.experts) {
    experts_.emplace_back(expert, network.dtype, panel_memory_);
    widths.push_back(experts_.back().padded_width);
    if (experts_.back().absent_bias.empty()) continue;
    absent_sum_.resize(num_output_panels_ * kPanelColumns);
    for (size_t i = 0; i < absent_sum_.size(); ++i) absent_sum_[i] += experts_.back().absent_bias[i];
  }
  if (network.shared) shared_.emplace(*network.shared, network.dtype, panel_memory_);
  if (routes) router_.emplace(network, instruction_set, panel_memory_);
  std::sort(widths.rbegin(), widths.rend());
  for (int64_t choice = 0; choice < network.top_k; ++choice) widest_visits_ += widths[choice];
  if (shared_) widest_visits_ += shared_->padded_width;
}

const char* Pass::input(int64_t token) const {
  return static_cast<const char*>(call_.input) + token * call_.input_stride * element_size(kernel_.network_.dtype);
}

// count cut evenly into the fewest pieces that all threads get as many of, at least a_thread (as long as there are so
// many), and none of which is larger than most (at least 1).
class Pieces {
 public:
  Pieces(int64_t count, int64_t num_threads, int64_t a_thread, int64_t most) : count_(count) {
    const int64_t size = std::clamp<int64_t>(most, 1, divided_up(count, a_thread * num_threads));
    number_ = num_threads * divided_up(divided_up(count, size), num_threads);
  }

  int64_t number() const { return number_; }
  int64_t begin(int64_t piece) const { return count_ * piece / number_; }
  int64_t largest() const { return divided_up(count_, number_); }

 private:
  int64_t count_, number_;
};

// The head of what is read next, which the micro-kernels, looking ahead in what they read, cannot know. A hint.
void prefetch(const char* address) {
  constexpr int64_t kCacheLine = 64;
  for (int64_t byte = 0; byte < kPanelStepBytes * 32; byte += kCacheLine) __builtin_prefetch(address + byte);
}

void Pass::route(int64_t begin, int64_t end) {
  if (!kernel_.router_) return;
  const PackedRouter& router = *kernel_.router_;
  const int64_t top_k = kernel_.network_.top_k;
  ExpertChooser chooser(kernel_.network_.rule, routed(), top_k, kernel_.instruction_set_);
  std::vector<float> logits(kMostRows * router.padded_experts());
  for_tiles(end - begin, kernel_.micro_kernels_.max_rows, [&](int64_t tile, int num_rows) {
    std::array<const void*, kMostRows> rows;
    const int64_t first = begin + tile;
    for (int row = 0; row < num_rows; ++row) rows[row] = input(first + row);
    router.logits(rows.data(), num_rows, logits.data());
    for (int row = 0; row < num_rows; ++row) {
      const int64_t token = first + row;
      chooser.choose(logits.data() + row * router.padded_experts(), experts_TK_ + token * top_k,
                     weights_TK_ + token * top_k);
    }
  });
}

bool Pass::is_few() const { return num_tokens_ <= kernel_.few_tokens_; }

int64_t Pass::routed() const { return static_cast<int64_t>(kernel_.experts_.size()); }

void Pass::count(int64_t begin, int64_t end, int32_t* counts) const {
  std::fill_n(counts, routed(), 0);
  const int64_t top_k = kernel_.network_.top_k;
  for (int64_t visit = begin * top_k; visit < end * top_k; ++visit) {
    if (experts_TK_[visit] >= 0) ++counts[experts_TK_[visit]];
  }
}

// From counts to where every thread's visits, and every expert's activations, begin.
void Pass::plan(int num_threads) {
  workspace_.visits.clear();
  char* activations = workspace_.activations.data();
  int32_t first_visit = 0;
  const auto add = [&](const PackedExpert& expert, int64_t num_rows, const int32_t* tokens, const float* weights) {
    workspace_.visits.push_back({&expert, num_rows, tokens, weights, activations, num_gate_up_panels_});
    activations += num_rows * expert.padded_width * element_size(kernel_.network_.dtype);
    num_gate_up_panels_ += expert.gate_up.num_panels;
  };
  if (kernel_.shared_) add(*kernel_.shared_, num_tokens_, nullptr, nullptr);
  for (int64_t expert = 0; expert < routed(); ++expert) {
    const int32_t begin = first_visit;
    for (int thread = 0; thread < num_threads; ++thread) {
      int32_t& count = workspace_.visit_counts[thread * routed() + expert];
      first_visit += std::exchange(count, first_visit);
    }
    if (first_visit == begin) continue;
    add(kernel_.experts_[expert], first_visit - begin, workspace_.visit_tokens.data() + begin,
        workspace_.visit_weights.data() + begin);
  }
}

void Pass::place(int64_t begin, int64_t end, int32_t* positions) {
  const int64_t top_k = kernel_.network_.top_k;
  for (int64_t token = begin; token < end; ++token) {
    for (int64_t choice = token * top_k; choice < (token + 1) * top_k; ++choice) {
      if (experts_TK_[choice] < 0) continue;
      const int32_t position = positions[experts_TK_[choice]]++;
      workspace_.visit_tokens[position] = static_cast<int32_t>(token);
      workspace_.visit_weights[position] = weights_TK_[choice];
    }
  }
}

// A tile's rows by all the panels before the next tile: rows stay in the first cache, panels in the second.
void Pass::activate_panels(const Visits& visits, int64_t first_panel, int64_t num_panels) const {
  const PackedExpert& expert = *visits.expert;
  const int64_t bytes = element_size(kernel_.network_.dtype);
  const int64_t row_bytes = expert.padded_width * bytes;
  const Operands operands(kernel_.micro_kernels_, visits.num_rows, expert.gate_up, first_panel, num_panels, 0,
                          expert.gate_up.steps);
  for_tiles(visits.num_rows, operands.kernels().max_rows, [&](int64_t first, int num_rows) {
    std::array<const void*, kMostRows> rows;
    for (int row = 0; row < num_rows; ++row) {
      rows[row] = input(visits.tokens ? visits.tokens[first + row] : first + row);
    }
    operands.take_rows(rows.data(), num_rows);
    for (int64_t panel = first_panel; panel < first_panel + num_panels; ++panel) {
      char* activations = visits.activations + first * row_bytes + panel * kHalfPanel * bytes;
      operands.kernels().activate(operands.panel(panel - first_panel), operands.steps(), rows.data(), num_rows,
                                  activations, row_bytes);
      // Neurons that do not exist have activations of zero, but for an infinite input.
      const int64_t padding = std::max<int64_t>((panel + 1) * kHalfPanel - expert.width, 0);
      for (int row = 0; padding > 0 && row < num_rows; ++row) {
        std::memset(activations + row * row_bytes + (kHalfPanel - padding) * bytes, 0, padding * bytes);
      }
    }
  });
}

void Pass::activate(int num_threads) {
  const TraceRange trace(TraceStage::kGateUp, num_tokens_);
  const auto& visits = workspace_.visits;
  if (visits.empty()) return;
  const int64_t panel_bytes =
      visits.front().expert->gate_up.panel_bytes() * (kernel_.micro_kernels_.widened != nullptr ? 2 : 1);
  const Pieces pieces(num_gate_up_panels_, num_threads, pieces_a_thread(),
                      (is_few() ? kStretchBytes : kPanelsBytes) / panel_bytes);
  size_t visited = 0;
  for (;;) {
    const int64_t piece = next_gate_up_.fetch_add(1, std::memory_order_relaxed);
    if (piece >= pieces.number()) return;
    int64_t panel = pieces.begin(piece);
    const int64_t end = pieces.begin(piece + 1);
    while (panel < end) {
      while (visited + 1 < visits.size() && visits[visited + 1].first_panel <= panel) ++visited;
      const int64_t first = panel - visits[visited].first_panel;
      const int64_t num_panels =
          panels_a_tile(std::min(end - panel, visits[visited].expert->gate_up.num_panels - first));
      activate_panels(visits[visited], first, num_panels);
      panel += num_panels;
    }
  }
}

int64_t Pass::panels_a_tile(int64_t num_panels) const { return is_few() ? 1 : num_panels; }

// sums: of these panels' columns, a token's row_floats apart.
void Pass::accumulate(const Visits& visits, int64_t first_panel, int64_t num_panels, float* sums,
                      int64_t row_floats) const {
  const PackedExpert& expert = *visits.expert;
  const int64_t row_bytes = expert.padded_width * element_size(kernel_.network_.dtype);
  for (int64_t step = 0; step < expert.down.steps; step += kSegmentSteps) {
    const int64_t num_steps = std::min(kSegmentSteps, expert.down.steps - step);
    const bool is_last = step + num_steps == expert.down.steps;
    const auto bias = [&](const std::vector<float>& values, int64_t panel) {
      return is_last && !values.empty() ? values.data() + panel * kPanelColumns : nullptr;
    };
    const Operands operands(kernel_.micro_kernels_, visits.num_rows, expert.down, first_panel, num_panels, step,
                            num_steps);
    for_tiles(visits.num_rows, operands.kernels().max_rows, [&](int64_t first, int num_rows) {
      std::array<const void*, kMostRows> rows;
      std::array<float*, kMostRows> row_sums;
      std::array<float, kMostRows> weights;
      for (int row = 0; row < num_rows; ++row) {
        rows[row] = visits.activations + (first + row) * row_bytes + step * kStepBytes;
        row_sums[row] = sums + (visits.tokens ? visits.tokens[first + row] : first + row) * row_floats;
        weights[row] = visits.weights ? visits.weights[first + row] : 1;
      }
      operands.take_rows(rows.data(), num_rows);
      for (int64_t panel = first_panel; panel < first_panel + num_panels; ++panel) {
        operands.kernels().accumulate(operands.panel(panel - first_panel), operands.steps(), rows.data(), num_rows,
                                      weights.data(), bias(expert.output_bias, panel), bias(expert.absent_bias, panel),
                                      row_sums.data());
        for (int row = 0; row < num_rows; ++row) row_sums[row] += kPanelColumns;
      }
    });
  }
}

// Absent biases: all of them to begin with, and a visit takes its expert's away.
void Pass::combine_columns(int64_t first_panel, int64_t num_panels, float* sums) const {
  const int64_t row_floats = num_panels * kPanelColumns;
  for (int64_t token = 0; token < num_tokens_; ++token) {
    float* row = sums + token * row_floats;
    if (kernel_.absent_sum_.empty()) {
      std::fill_n(row, row_floats, 0.0f);
    } else {
      std::copy_n(kernel_.absent_sum_.data() + first_panel * kPanelColumns, row_floats, row);
    }
  }
  const auto& visits = workspace_.visits;
  for (size_t visited = 0; visited < visits.size(); ++visited) {
    if (visited + 1 < visits.size()) prefetch(visits[visited + 1].expert->down.panel(first_panel));
    const int64_t piece = panels_a_tile(num_panels);
    for (int64_t panel = 0; panel < num_panels; panel += piece) {
      accumulate(visits[visited], first_panel + panel, piece, sums + panel * kPanelColumns, row_floats);
    }
  }
  const int64_t bytes = element_size(kernel_.network_.dtype);
  const int64_t first_column = first_panel * kPanelColumns;
  const int64_t num_columns = std::min(row_floats, kernel_.network_.hidden_size - first_column);
  for (int64_t token = 0; token < num_tokens_; ++token) {
    kernel_.micro_kernels_.round(
        sums + token * row_floats, num_columns,
        static_cast<char*>(call_.output) + (token * call_.output_stride + first_column) * bytes);
  }
}

void Pass::combine(int num_threads) {
  const TraceRange trace(TraceStage::kDown, num_tokens_);
  const int64_t row_bytes = kPanelColumns * static_cast<int64_t>(sizeof(float));
  const Pieces pieces(kernel_.num_output_panels_, num_threads, pieces_a_thread(),
                      kSumsBytes / (num_tokens_ * row_bytes));
  thread_local std::vector<float> sums;
  sums.resize(num_tokens_ * pieces.largest() * kPanelColumns);
  for (;;) {
    const int64_t piece = next_columns_.fetch_add(1, std::memory_order_relaxed);
    if (piece >= pieces.number()) return;
    const int64_t first = pieces.begin(piece), end = pieces.begin(piece + 1);
    if (first < end) combine_columns(first, end - first, sums.data());
  }
}

// Which tokens are each expert's.
void Pass::assign(int thread, int num_threads) {
  const TraceRange trace(TraceStage::kRoute, num_tokens_);
  if (num_tokens_ <= kRoutedAlone) {
    if (thread > 0) return;
    route(0, num_tokens_);
    count(0, num_tokens_, workspace_.visit_counts.data());
    plan(1);
    place(0, num_tokens_, workspace_.visit_counts.data());
    return;
  }
  const int64_t begin = num_tokens_ * thread / num_threads, end = num_tokens_ * (thread + 1) / num_threads;
  int32_t* counts = workspace_.visit_counts.data() + thread * routed();
  route(begin, end);
  count(begin, end, counts);
  barrier_.wait(num_threads);
  if (thread == 0) plan(num_threads);
  barrier_.wait(num_threads);
  place(begin, end, counts);
}

void Pass::run(int thread, int num_threads) {
  assign(thread, num_threads);
  barrier_.wait(num_threads);
  activate(num_threads);
  barrier_.wait(num_threads);
  combine(num_threads);
}

void FusedKernel::run_block(const MoeFfnCall& call, int64_t first_token, int64_t num_tokens,
                            Workspace& workspace) const {
  const int64_t top_k = network_.top_k, bytes = element_size(network_.dtype);
  MoeFfnCall block = call;
  block.input = static_cast<const char*>(call.input) + first_token * call.input_stride * bytes;
  block.output = static_cast<char*>(call.output) + first_token * call.output_stride * bytes;
  const auto visits = static_cast<size_t>(num_tokens * top_k);
  workspace.experts_TK.resize(visits);
  workspace.weights_TK.resize(visits);
  workspace.visit_tokens.resize(visits);
  workspace.visit_weights.resize(visits);
  workspace.visit_counts.resize(call.num_threads * experts_.size());
  const auto activation_bytes = static_cast<size_t>(num_tokens * widest_visits_ * bytes);
  workspace.activations.grow(activation_bytes);

  Pass pass(*this, block, workspace, num_tokens,
            call.experts ? call.experts + first_token * top_k : workspace.experts_TK.data(),
            call.weights ? call.weights + first_token * top_k : workspace.weights_TK.data());
  run_team(call.num_threads, [&](int thread, int num_threads) { pass.run(thread, num_threads); });
}

void FusedKernel::run(const MoeFfnCall& call) const {
  check_call(network_, call);
  const TraceRange trace(network_.top_k > 0 ? TraceStage::kMixture : TraceStage::kDense, call.num_tokens);
  thread_local Workspace workspace;
  const int64_t num_blocks = divided_up(call.num_tokens, kBlockTokens);
  for (int64_t block = 0; block < num_blocks; ++block) {
    const int64_t begin = call.num_tokens * block / num_blocks;
    run_block(call, begin, call.num_tokens * (block + 1) / num_blocks - begin, workspace);
  }
}

}  // namespace

std::unique_ptr<MoeFfnKernel> make_fused(const MoeFfn& network, const InstructionSet& instruction_set,
                                         int64_t few_tokens) {
  return std::make_unique<FusedKernel>(network, instruction_set, few_tokens);
}

}  // namespace moebench::kernels
