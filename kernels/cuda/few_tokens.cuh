// A call of at most kFewTokens tokens in three launches, where reading weights is what takes time: each is read once,
// straight into registers, whoever of the tokens needs it. Tokens that do not visit an expert have activations of zero.
#pragma once

#include "kernels/cuda/router.cuh"

namespace moebench::kernels::cuda {

constexpr int kFewThreads = 256;
constexpr int kFewWarps = kFewThreads / kWarp;
constexpr int kDepth = 4;  // steps of a panel on their way to a warp

struct FewRouterShared {
  bool is_last;
  uint32_t masks[kMaxExperts];
  float scratch[1];  // 3 E
};

inline size_t few_router_bytes(int num_experts) { return sizeof(FewRouterShared) + 3 * sizeof(float) * num_experts; }

// Who visits whom, from all tokens' experts and weights. By a block.
__device__ inline void list_few(const DeviceNetwork& network, const DeviceCall& call, const FewTokens& few,
                                uint32_t* masks) {
  const int num_experts = network.num_experts, thread = static_cast<int>(threadIdx.x);
  for (int expert = thread; expert < num_experts; expert += kFewThreads) masks[expert] = 0;
  for (int i = thread; i < (num_experts + 1) * kFewTokens; i += kFewThreads) {
    few.weights[i] = i < num_experts * kFewTokens ? 0 : 1;
  }
  __syncthreads();
  if (thread < call.num_tokens) {
    for (int choice = thread * network.top_k; choice < (thread + 1) * network.top_k; ++choice) {
      const int expert = call.experts[choice];
      if (expert < 0 || expert >= num_experts) continue;
      few.weights[expert * kFewTokens + thread] += call.weights[choice];
      atomicOr(&masks[expert], 1u << thread);
    }
  }
  __syncthreads();
  if (thread >= kWarp) return;
  int num_visited = 0;
  for (int first = 0; first < num_experts; first += kWarp) {
    const int expert = first + thread;
    const uint32_t mask = expert < num_experts ? masks[expert] : 0;
    const uint32_t visited = __ballot_sync(~0u, mask != 0);
    if (mask != 0) few.visited[num_visited + __popc(visited & ((1u << thread) - 1))] = expert;
    if (expert < num_experts) few.masks[expert] = mask;
    num_visited += __popc(visited);
  }
  if (thread != 0) return;
  if (network.has_shared) few.visited[num_visited++] = num_experts;
  few.masks[num_experts] = ~0u;
  *few.num_visited = num_visited;
}

// A block for each token; the last one to finish makes the lists. Where experts are given, one block.
template <class Element>
__global__ void __launch_bounds__(kFewThreads) route_few(DeviceNetwork network, DeviceCall call, FewTokens few) {
  auto& shared = shared_memory<FewRouterShared>();
  if (network.router.kind != Router::Kind::kGiven) {
    const int token = static_cast<int>(blockIdx.x);
    const RouterScratch scratch = router_scratch(shared.scratch, network.num_experts);
    const bool is_mlp = network.router.kind == Router::Kind::kTanhMlp;
    for (int expert = warp_index(); expert < network.num_experts; expert += kFewWarps) {
      score_experts<Element, 1>(network, call.input + token * call.input_chunks, expert,
                                is_mlp ? scratch.probabilities : scratch.logits);
    }
    __syncthreads();
    if (is_mlp) score_hidden(network, scratch.probabilities, warp_index(), kFewWarps, scratch.logits);
    __syncthreads();
    const int64_t first = static_cast<int64_t>(token) * network.top_k;
    if (warp_index() == 0) choose(network, scratch, call.experts + first, call.weights + first);
    __threadfence();
    __syncthreads();
  }
  if (threadIdx.x == 0) {
    shared.is_last = atomicAdd(few.ticket, 1u) + 1 == gridDim.x;
    if (shared.is_last) *few.ticket = 0;
    __threadfence();
  }
  __syncthreads();
  if (shared.is_last) list_few(network, call, few, shared.masks);
}

// What a warp multiplies: a panel's steps by the rows of num_tokens tokens.
struct Stream {
  const uint4 *panel, *tokens;
  int64_t row_chunks;
  int num_tokens;
};

// kSteps steps from `step` on: all weights are on their way before the first is waited for.
template <int kSteps, class Element, int kBlocks>
__device__ void stream_steps(const Stream& stream, int step, WarpTile<Element, 1, kBlocks>& tile) {
  const uint4* chunks = stream.panel + static_cast<int64_t>(step) * kStepChunks + lane_index();
  uint4 weights[kSteps][2];
#pragma unroll
  for (int i = 0; i < kSteps; ++i) {
    weights[i][0] = load_once(chunks + i * kStepChunks);
    weights[i][1] = load_once(chunks + i * kStepChunks + kWarp);
  }
#pragma unroll
  for (int i = 0; i < kSteps; ++i) {
    const uint4* columns = stream.tokens + (step + i) * (kStepBytes / static_cast<int>(sizeof(uint4)));
    // Sums of tokens that do not exist are the last one's, and nobody reads them.
    tile.multiply(
        [&](int, int half) { return weights[i][half]; },
        [&](int token, int part) { return columns[min(token, stream.num_tokens - 1) * stream.row_chunks + part]; });
  }
}

template <class Element, int kBlocks>
__device__ void stream_panel(const Stream& stream, int begin, int end, WarpTile<Element, 1, kBlocks>& tile) {
  int step = begin;
  for (; step + kDepth <= end; step += kDepth) stream_steps<kDepth>(stream, step, tile);
  for (; step < end; ++step) stream_steps<1>(stream, step, tile);
}

template <int kBlocks>
struct FewShared {
  float sums[kFewWarps][kBlocks][4][kWarp];
};

// The sums of all warps, in order, for value i (as WarpTile::sums says) of a block and lane.
template <int kBlocks>
__device__ float sum_of_warps(const FewShared<kBlocks>& shared, int block, int i, int lane) {
  float sum = 0;
#pragma unroll
  for (int warp = 0; warp < kFewWarps; ++warp) sum += shared.sums[warp][block][i][lane];
  return sum;
}

template <class Element, int kBlocks>
__device__ void share_sums(const WarpTile<Element, 1, kBlocks>& tile, FewShared<kBlocks>& shared) {
#pragma unroll
  for (int block = 0; block < kBlocks; ++block) {
    float values[4] = {};
    tile.sums(0, block, values);
#pragma unroll
    for (int i = 0; i < 4; ++i) shared.sums[warp_index()][block][i][lane_index()] = values[i];
  }
  __syncthreads();
}

// Block (panel, visited): 8 neurons of one expert; its warps share out D.
template <class Element, int kBlocks>
__global__ void __launch_bounds__(kFewThreads) activate_few(DeviceNetwork network, DeviceCall call, FewTokens few) {
  const int panel = static_cast<int>(blockIdx.x), visited = static_cast<int>(blockIdx.y);
  if (visited >= *few.num_visited) return;
  const int index = few.visited[visited];
  const DeviceExpert& expert = network.experts[index];
  if (panel * kPanelNeurons >= expert.padded_width) return;

  const int num_steps = network.padded_hidden_size / kStepElements<Element>;
  const int begin = num_steps * warp_index() / kFewWarps, end = num_steps * (warp_index() + 1) / kFewWarps;
  WarpTile<Element, 1, kBlocks> tile;
  const Stream stream{expert.gate_up + static_cast<int64_t>(panel) * num_steps * kStepChunks, call.input,
                      call.input_chunks, call.num_tokens};
  stream_panel(stream, begin, end, tile);
  auto& shared = shared_memory<FewShared<kBlocks>>();
  share_sums(tile, shared);

  // One thread for each neuron of each token.
  const int thread = static_cast<int>(threadIdx.x);
  if (thread >= kBlocks * kTokenBlock * kPanelNeurons) return;
  const int token = thread / kPanelNeurons, row = thread % kPanelNeurons, neuron = panel * kPanelNeurons + row;
  const int block = token / kTokenBlock, lane = 4 * row + token % kTokenBlock / 2;
  const float gate = sum_of_warps(shared, block, token % 2, lane);
  const float up = sum_of_warps(shared, block, 2 + token % 2, lane);
  const bool is_needed = neuron < expert.width && token < call.num_tokens && (few.masks[index] >> token & 1) != 0;
  const float activation = is_needed ? silu(gate) * up * few.weights[index * kFewTokens + token] : 0;
  auto* rows = reinterpret_cast<Element*>(few.activations + (visited * kFewTokens + token) * few.row_chunks);
  rows[neuron] = rounded<Element>(activation);
}

// What is added to a token's output beside products.
__device__ inline float bias_of(const DeviceNetwork& network, const FewTokens& few, int num_visited, int token,
                                int row) {
  float sum = network.absent_sum ? network.absent_sum[row] : 0;
  for (int visited = 0; visited < num_visited; ++visited) {
    const int index = few.visited[visited];
    const DeviceExpert& expert = network.experts[index];
    if ((few.masks[index] >> token & 1) == 0) continue;
    if (expert.output_bias) sum += few.weights[index * kFewTokens + token] * expert.output_bias[row];
    if (expert.absent_bias) sum -= expert.absent_bias[row];
  }
  return sum;
}

// Block: 16 of the outputs; its warps share out the neurons of all visited experts.
template <class Element, int kBlocks>
__global__ void __launch_bounds__(kFewThreads) combine_few(DeviceNetwork network, DeviceCall call, FewTokens few) {
  const int panel = static_cast<int>(blockIdx.x), num_visited = *few.num_visited;
  int all_steps = 0;
  for (int visited = 0; visited < num_visited; ++visited) {
    all_steps += network.experts[few.visited[visited]].padded_width / kStepElements<Element>;
  }
  int begin = all_steps * warp_index() / kFewWarps, end = all_steps * (warp_index() + 1) / kFewWarps;
  WarpTile<Element, 1, kBlocks> tile;
  for (int visited = 0; visited < num_visited && end > 0; ++visited) {
    const DeviceExpert& expert = network.experts[few.visited[visited]];
    const int num_steps = expert.padded_width / kStepElements<Element>;
    const Stream stream{expert.down + static_cast<int64_t>(panel) * num_steps * kStepChunks,
                        few.activations + visited * kFewTokens * few.row_chunks, few.row_chunks, call.num_tokens};
    stream_panel(stream, max(begin, 0), min(end, num_steps), tile);
    begin -= num_steps;
    end -= num_steps;
  }
  auto& shared = shared_memory<FewShared<kBlocks>>();
  share_sums(tile, shared);

  const int thread = static_cast<int>(threadIdx.x);
  const int token = thread / kPanelRows, row = thread % kPanelRows, column = panel * kPanelRows + row;
  if (token >= call.num_tokens || column >= network.hidden_size) return;
  const int lane = 4 * (row % 8) + token % kTokenBlock / 2;
  const float sum = sum_of_warps(shared, token / kTokenBlock, row / 8 * 2 + token % 2, lane);
  static_cast<Element*>(call.output)[token * call.output_stride + column] =
      rounded<Element>(sum + bias_of(network, few, num_visited, token, column));
}

}  // namespace moebench::kernels::cuda
