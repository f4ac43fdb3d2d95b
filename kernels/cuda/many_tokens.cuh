// The steps of a call of many tokens beside its products: whose visits are rows of which expert, and their sum.
#pragma once

#include "kernels/cuda/router.cuh"

namespace moebench::kernels::cuda {

constexpr int kRouteWarps = 4;  // a token each
constexpr int kRouteRows = 4;   // experts that a warp scores at once
constexpr int kListThreads = 256;
constexpr int kListEntries = 8;  // visits in a row that a thread reads
constexpr int kRowThreads = 128;

// Rows of whole steps, zero beyond D.
template <class Element>
__global__ void __launch_bounds__(kRowThreads)
    pad_rows(const Element* input, int64_t stride, int columns, Element* rows, int padded_columns) {
  const int64_t token = blockIdx.x;
  for (int i = static_cast<int>(threadIdx.x); i < padded_columns; i += kRowThreads) {
    rows[token * padded_columns + i] = i < columns ? input[token * stride + i] : rounded<Element>(0);
  }
}

template <class Element>
__global__ void __launch_bounds__(kRouteWarps* kWarp) route_many(DeviceNetwork network, DeviceCall call) {
  const int64_t token = static_cast<int64_t>(blockIdx.x) * kRouteWarps + warp_index();
  if (token >= call.num_tokens) return;
  const RouterScratch scratch =
      router_scratch(&shared_memory<float>() + 3 * network.num_experts * warp_index(), network.num_experts);
  const bool is_mlp = network.router.kind == Router::Kind::kTanhMlp;
  for (int expert = 0; expert < network.num_experts; expert += kRouteRows) {
    score_experts<Element, kRouteRows>(network, call.input + token * call.input_chunks, expert,
                                       is_mlp ? scratch.probabilities : scratch.logits);
  }
  __syncwarp();
  if (is_mlp) score_hidden(network, scratch.probabilities, 0, 1, scratch.logits);
  __syncwarp();
  choose(network, scratch, call.experts + token * network.top_k, call.weights + token * network.top_k);
}

struct ListShared {
  int warp_totals[kListThreads / kWarp];
};

// The sum over all threads before this one, and over all. By a block.
__device__ inline int sum_before(int value, int& total, ListShared& shared) {
  int inclusive = value;
#pragma unroll
  for (int distance = 1; distance < kWarp; distance *= 2) {
    const int other = __shfl_up_sync(~0u, inclusive, distance);
    if (lane_index() >= distance) inclusive += other;
  }
  __syncthreads();
  if (lane_index() == kWarp - 1) shared.warp_totals[warp_index()] = inclusive;
  __syncthreads();
  int before = inclusive - value;
  total = 0;
  for (int warp = 0; warp < kListThreads / kWarp; ++warp) {
    if (warp < warp_index()) before += shared.warp_totals[warp];
    total += shared.warp_totals[warp];
  }
  return before;
}

// The visits of one expert, in order; block E: all tokens visit the shared one. Every block counts what comes before
// its own, so that no second launch need.
__global__ void __launch_bounds__(kListThreads) list_visits(DeviceNetwork network, DeviceCall call, ManyTokens many) {
  auto& shared = shared_memory<ListShared>();
  const int own = static_cast<int>(blockIdx.x), thread = static_cast<int>(threadIdx.x), top_k = network.top_k;
  const int num_experts = network.num_experts;
  const int num_entries = call.num_tokens * top_k;
  // Out of range is not visited.
  const auto expert_of = [&](int entry) {
    const int expert = entry < num_entries ? call.experts[entry] : -1;
    return expert < num_experts ? expert : -1;
  };
  int lower = 0, mine = 0, first_visit = 0, num_visits = 0;
  for (int entry = thread; entry < num_entries; entry += kListThreads) {
    const int expert = expert_of(entry);
    lower += expert >= 0 && expert < own;
    mine += expert == own;
    if (own == num_experts && expert < 0) many.positions[entry] = -1;
  }
  sum_before(lower, first_visit, shared);
  sum_before(mine, num_visits, shared);
  if (own == num_experts) num_visits = network.has_shared ? call.num_tokens : 0;
  if (thread == 0) {
    many.first_visit[own] = first_visit;
    many.num_visits[own] = num_visits;
  }
  if (own == num_experts) {
    for (int token = thread; token < num_visits; token += kListThreads) {
      many.visit_tokens[first_visit + token] = token;
      many.visit_weights[first_visit + token] = 1;
    }
    return;
  }
  int position = first_visit;
  for (int begin = 0; begin < num_entries; begin += kListThreads * kListEntries) {
    int experts[kListEntries], count = 0, total = 0;
#pragma unroll
    for (int i = 0; i < kListEntries; ++i) {
      experts[i] = expert_of(begin + thread * kListEntries + i);
      count += experts[i] == own;
    }
    int next = position + sum_before(count, total, shared);
#pragma unroll
    for (int i = 0; i < kListEntries; ++i) {
      if (experts[i] != own) continue;
      const int entry = begin + thread * kListEntries + i;
      many.visit_tokens[next] = entry / top_k;
      many.visit_weights[next] = call.weights[entry];
      many.positions[entry] = next++;
    }
    position += total;
  }
}

// A block for each visit of a routed expert: its token's row, beside the others of the expert.
__global__ void __launch_bounds__(kRowThreads)
    gather_rows(DeviceNetwork network, DeviceCall call, ManyTokens many, int row_chunks) {
  const int visit = static_cast<int>(blockIdx.x);
  if (visit >= many.first_visit[network.num_experts]) return;
  const uint4* row = call.input + many.visit_tokens[visit] * call.input_chunks;
  for (int chunk = static_cast<int>(threadIdx.x); chunk < row_chunks; chunk += kRowThreads) {
    many.gathered[static_cast<int64_t>(visit) * row_chunks + chunk] = row[chunk];
  }
}

// A block for each row of gate_up: what comes of its two halves.
template <class Element>
__global__ void __launch_bounds__(kRowThreads)
    activate_rows(const uint4* gate_up, uint4* activations, int64_t row_chunks) {
  constexpr int kElements = kChunkElements<Element>;
  const uint4* row = gate_up + 2 * blockIdx.x * row_chunks;
  for (int64_t chunk = threadIdx.x; chunk < row_chunks; chunk += kRowThreads) {
    float gate[kElements], up[kElements];
    unpack(row[chunk], gate);
    unpack(row[row_chunks + chunk], up);
#pragma unroll
    for (int i = 0; i < kElements; ++i) gate[i] = silu(gate[i]) * up[i];
    activations[blockIdx.x * row_chunks + chunk] = packed(gate);
  }
}

// sums += sign values, of a chunk's columns.
template <int kElements>
__device__ void add_floats(float (&sums)[kElements], const float* values, float sign) {
#pragma unroll
  for (int i = 0; i < kElements; ++i) sums[i] += sign * values[i];
}

// Block (chunks of columns, token). In the order of the token's choices, the shared expert first: no atomics, the same
// bits.
template <class Element>
__global__ void __launch_bounds__(kRowThreads) sum_visits(DeviceNetwork network, DeviceCall call, ManyTokens many) {
  constexpr int kElements = kChunkElements<Element>;
  const int token = static_cast<int>(blockIdx.y);
  const int chunk = static_cast<int>(blockIdx.x * kRowThreads + threadIdx.x), column = chunk * kElements;
  if (column >= network.hidden_size) return;
  float sums[kElements] = {};
  const auto add_visit = [&](int visit) {
    float values[kElements];
    unpack(many.contributions[visit * many.contribution_chunks + chunk], values);
    add_floats(sums, values, 1);
  };
  if (network.absent_sum != nullptr) add_floats(sums, network.absent_sum + column, 1);
  if (network.has_shared) add_visit(many.first_visit[network.num_experts] + token);
  for (int choice = token * network.top_k; choice < (token + 1) * network.top_k; ++choice) {
    const int visit = many.positions[choice];
    if (visit < 0) continue;
    add_visit(visit);
    if (network.absent_sum == nullptr) continue;
    const int expert = call.experts[choice];
    const float* bias = network.experts[expert].absent_bias;
    const bool is_first = visit == many.first_visit[expert] || many.visit_tokens[visit - 1] != token;
    if (bias != nullptr && is_first) add_floats(sums, bias + column, -1);
  }
  Element* output = static_cast<Element*>(call.output) + token * call.output_stride + column;
  if (column + kElements <= network.hidden_size && reinterpret_cast<uintptr_t>(output) % sizeof(uint4) == 0) {
    *reinterpret_cast<uint4*>(output) = packed(sums);
    return;
  }
#pragma unroll
  for (int i = 0; i < kElements; ++i) {
    if (column + i < network.hidden_size) output[i] = rounded<Element>(sums[i]);
  }
}

}  // namespace moebench::kernels::cuda
