// Products of many visits, expert by expert: a block computes one tile, tokens by panels of weights, with both operands
// on their way through kStages buffers of shared memory.
#pragma once

#include "kernels/cuda/warp_tile.cuh"

namespace moebench::kernels::cuda {

constexpr int kStages = 4;
constexpr int kProductThreads = 128;
constexpr int kTokenChunks = kStepBytes / static_cast<int>(sizeof(uint4));

// A block's tile and its warps' parts of it.
template <class ElementType, int kPanelCount, int kTokenCount, int kWarpPanelCount, int kWarpBlockCount>
struct TileShape {
  using Element = ElementType;
  static constexpr int kPanels = kPanelCount, kTokens = kTokenCount;
  static constexpr int kWarpPanels = kWarpPanelCount, kWarpBlocks = kWarpBlockCount;
  static constexpr int kWarpRows = kPanels / kWarpPanels;  // of warps
  static_assert(kWarpRows * (kTokens / (kWarpBlocks * kTokenBlock)) * kWarp == kProductThreads);
};
using LargeTile = TileShape<BFloat16, 8, 128, 4, 8>;
using SmallTile = TileShape<BFloat16, 8, 32, 2, 4>;
using FloatTile = TileShape<float, 4, 32, 2, 2>;

template <class Tile>
struct ProductShared {
  struct Stage {
    uint4 weights[Tile::kPanels][kStepChunks];
    uint4 tokens[Tile::kTokens][kTokenChunks];
  };
  // Rows apart by a chunk more, so that a column's elements lie in different banks.
  static constexpr int kRowElements = Tile::kPanels * kPanelRows + kChunkElements<typename Tile::Element>;
  union {
    Stage stages[kStages];
    typename Tile::Element output[Tile::kTokens][kRowElements];
  };
};

template <class Tile>
using ProductTile = WarpTile<typename Tile::Element, Tile::kWarpPanels, Tile::kWarpBlocks>;

// Which rows of which expert a block computes; no rows beyond the last.
struct TilePlace {
  int expert, first_row, num_rows;
};

// Tiles of tile_rows rows, expert after expert. By a warp.
__device__ inline TilePlace find_tile(const int32_t* num_visits, int num_experts, int tile_rows, int tile) {
  int tiles_before = 0;
  for (int first = 0; first < num_experts; first += kWarp) {
    const int expert = first + lane_index();
    const int num_rows = expert < num_experts ? num_visits[expert] : 0;
    const int num_tiles = (num_rows + tile_rows - 1) / tile_rows;
    int end = num_tiles;
#pragma unroll
    for (int distance = 1; distance < kWarp; distance *= 2) {
      const int other = __shfl_up_sync(~0u, end, distance);
      if (lane_index() >= distance) end += other;
    }
    end += tiles_before;
    const uint32_t found = __ballot_sync(~0u, tile < end);
    if (found != 0) {
      const int lane = __ffs(static_cast<int>(found)) - 1;
      const int first_row = (tile - (end - num_tiles)) * tile_rows;
      return {first + lane, __shfl_sync(~0u, first_row, lane), __shfl_sync(~0u, num_rows, lane)};
    }
    tiles_before = __shfl_sync(~0u, end, kWarp - 1);
  }
  return {0, 0, 0};
}

// sums = rows by panels. row(i): the first chunk of the tile's row i.
template <class Tile, class Row>
__device__ void multiply_tile(const uint4* panels, int num_steps, const Row& row, ProductShared<Tile>& shared,
                              ProductTile<Tile>& tile) {
  constexpr int kWeightCopies = Tile::kPanels * kStepChunks / kProductThreads;
  constexpr int kTokenCopies = Tile::kTokens * kTokenChunks / kProductThreads;
  const int thread = static_cast<int>(threadIdx.x);
  const uint4* rows[kTokenCopies];
#pragma unroll
  for (int i = 0; i < kTokenCopies; ++i) {
    const int chunk = thread + i * kProductThreads;
    rows[i] = row(chunk / kTokenChunks) + chunk % kTokenChunks;
  }
  const uint4* weights =
      panels + thread / kStepChunks * static_cast<int64_t>(num_steps) * kStepChunks + thread % kStepChunks;
  const int64_t copy_stride = static_cast<int64_t>(num_steps) * kProductThreads;  // of weights, copy to copy

  const auto load = [&](int step) {
    auto& stage = shared.stages[step % kStages];
    if (step < num_steps) {
#pragma unroll
      for (int i = 0; i < kWeightCopies; ++i) {
        const int chunk = thread + i * kProductThreads;
        copy_async(&stage.weights[chunk / kStepChunks][chunk % kStepChunks],
                   weights + i * copy_stride + static_cast<int64_t>(step) * kStepChunks);
      }
#pragma unroll
      for (int i = 0; i < kTokenCopies; ++i) {
        const int chunk = thread + i * kProductThreads;
        copy_async(&stage.tokens[chunk / kTokenChunks][chunk % kTokenChunks], rows[i] + step * kTokenChunks);
      }
    }
    commit_copies();
  };
  const int first_panel = warp_index() % Tile::kWarpRows * Tile::kWarpPanels;
  const int first_token = warp_index() / Tile::kWarpRows * Tile::kWarpBlocks * kTokenBlock;
  for (int step = 0; step < kStages - 1; ++step) load(step);
  for (int step = 0; step < num_steps; ++step) {
    wait_for_copies<kStages - 2>();
    __syncthreads();  // this step has come, for all, and nobody reads the one before it any more
    load(step + kStages - 1);
    const auto& stage = shared.stages[step % kStages];
    tile.multiply([&](int panel, int half) { return stage.weights[first_panel + panel][half * kWarp + lane_index()]; },
                  [&](int token, int part) { return stage.tokens[first_token + token][part]; });
  }
  wait_for_copies<0>();
  __syncthreads();
}

// use(panel, row, token, value, value of row + 8) for all that this lane has, within the tile. All lanes together.
template <class Tile, class Use>
__device__ void for_sums(const ProductTile<Tile>& tile, const Use& use) {
  const int first_panel = warp_index() % Tile::kWarpRows * Tile::kWarpPanels;
  const int first_token = warp_index() / Tile::kWarpRows * Tile::kWarpBlocks * kTokenBlock;
  const int row = lane_index() / 4, part = lane_index() % 4;
#pragma unroll
  for (int panel = 0; panel < Tile::kWarpPanels; ++panel) {
#pragma unroll
    for (int block = 0; block < Tile::kWarpBlocks; ++block) {
      float values[4] = {};
      tile.sums(panel, block, values);
      const int token = first_token + block * kTokenBlock + 2 * part;
      use(first_panel + panel, row, token, values[0], values[2]);
      use(first_panel + panel, row, token + 1, values[1], values[3]);
    }
  }
}

// kColumns of the tile's output, from `from` on, to rows of the memory; whole chunks.
template <class Tile, int kColumns>
__device__ void store_tile(const ProductShared<Tile>& shared, int from, int num_rows, uint4* rows, int64_t row_chunks) {
  constexpr int kElements = kChunkElements<typename Tile::Element>, kChunks = kColumns / kElements;
  for (int i = static_cast<int>(threadIdx.x); i < num_rows * kChunks; i += kProductThreads) {
    const void* chunk = &shared.output[i / kChunks][from + i % kChunks * kElements];
    rows[i / kChunks * row_chunks + i % kChunks] = *static_cast<const uint4*>(chunk);
  }
}

// Block: a tile of visits by some panels, of which there are num_columns. With kActivates silu(gate) up, else gate and
// up as they are.
template <class Tile, bool kActivates>
__global__ void __launch_bounds__(kProductThreads)
    multiply_gate_up(DeviceNetwork network, DeviceCall call, ManyTokens many, int num_columns) {
  using Element = typename Tile::Element;
  constexpr int kNeurons = Tile::kPanels * kPanelNeurons, kChunk = kChunkElements<Element>;
  const int column_index = static_cast<int>(blockIdx.x) % num_columns,
            tile_index = static_cast<int>(blockIdx.x) / num_columns;
  const TilePlace place = find_tile(many.num_visits, network.num_experts + 1, Tile::kTokens, tile_index);
  const DeviceExpert expert = network.experts[place.expert];
  const int first_neuron = column_index * kNeurons;
  if (place.num_rows == 0 || first_neuron >= expert.padded_width) return;

  const bool is_shared = place.expert == network.num_experts;
  const int first_visit = many.first_visit[place.expert] + place.first_row;
  const int num_rows = min(place.num_rows - place.first_row, Tile::kTokens);
  const int num_steps = network.padded_hidden_size / kStepElements<Element>;
  const auto row = [&](int i) {
    const int visit = first_visit + min(i, num_rows - 1);
    if (many.gathered != nullptr && !is_shared)
      return many.gathered + static_cast<int64_t>(visit) * num_steps * kTokenChunks;
    return const_cast<uint4*>(call.input) + many.visit_tokens[visit] * call.input_chunks;
  };
  auto& shared = shared_memory<ProductShared<Tile>>();
  ProductTile<Tile> tile;
  multiply_tile(expert.gate_up + static_cast<int64_t>(column_index) * Tile::kPanels * num_steps * kStepChunks,
                num_steps, row, shared, tile);

  for_sums<Tile>(tile, [&](int panel, int row_of_panel, int token, float gate, float up) {
    const int neuron = panel * kPanelNeurons + row_of_panel;
    // Neurons that do not exist have activations of zero, but for an infinite input.
    const bool exists = first_neuron + neuron < expert.width;
    if constexpr (kActivates) {
      shared.output[token][neuron] = rounded<Element>(exists ? silu(gate) * up : 0);
    } else {
      shared.output[token][neuron] = rounded<Element>(exists ? gate : 0);
      shared.output[token][kNeurons + neuron] = rounded<Element>(exists ? up : 0);
    }
  });
  __syncthreads();
  const int64_t row_chunks = is_shared ? many.shared_chunks : many.activation_chunks;
  const int64_t first = (is_shared ? place.first_row : first_visit) * row_chunks;
  if constexpr (kActivates) {
    uint4* rows = (is_shared ? many.shared_activations : many.activations) + first + first_neuron / kChunk;
    store_tile<Tile, kNeurons>(shared, 0, num_rows, rows, row_chunks);
  } else {
    uint4* rows = (is_shared ? many.shared_gate_up : many.gate_up) + 2 * first + first_neuron / kChunk;
    store_tile<Tile, kNeurons>(shared, 0, num_rows, rows, 2 * row_chunks);
    store_tile<Tile, kNeurons>(shared, kNeurons, num_rows, rows + row_chunks, 2 * row_chunks);
  }
}

// Block: as above. The visits' contributions to their tokens.
template <class Tile>
__global__ void __launch_bounds__(kProductThreads)
    multiply_down(DeviceNetwork network, ManyTokens many, int num_columns) {
  using Element = typename Tile::Element;
  constexpr int kRows = Tile::kPanels * kPanelRows;
  const int column_index = static_cast<int>(blockIdx.x) % num_columns,
            tile_index = static_cast<int>(blockIdx.x) / num_columns;
  const TilePlace place = find_tile(many.num_visits, network.num_experts + 1, Tile::kTokens, tile_index);
  if (place.num_rows == 0) return;
  const DeviceExpert expert = network.experts[place.expert];
  const bool is_shared = place.expert == network.num_experts;
  const int first_visit = many.first_visit[place.expert] + place.first_row;
  const int num_rows = min(place.num_rows - place.first_row, Tile::kTokens);
  const int num_steps = expert.padded_width / kStepElements<Element>;
  const int64_t row_chunks = is_shared ? many.shared_chunks : many.activation_chunks;
  const uint4* activations =
      is_shared ? many.shared_activations + place.first_row * row_chunks : many.activations + first_visit * row_chunks;
  auto& shared = shared_memory<ProductShared<Tile>>();
  ProductTile<Tile> tile;
  multiply_tile(
      expert.down + static_cast<int64_t>(column_index) * Tile::kPanels * num_steps * kStepChunks, num_steps,
      [&](int i) { return activations + min(i, num_rows - 1) * row_chunks; }, shared, tile);

  const int first_column = column_index * kRows;
  for_sums<Tile>(tile, [&](int panel, int row, int token, float value, float second) {
    if (token >= num_rows) return;
    const float weight = many.visit_weights[first_visit + token];
    const int column = panel * kPanelRows + row;
    const float* bias = expert.output_bias ? expert.output_bias + first_column + column : nullptr;
    shared.output[token][column] = rounded<Element>(weight * (bias ? value + bias[0] : value));
    shared.output[token][column + 8] = rounded<Element>(weight * (bias ? second + bias[8] : second));
  });
  __syncthreads();
  constexpr int kChunk = kChunkElements<Element>;
  store_tile<Tile, kRows>(shared, 0, num_rows,
                          many.contributions + first_visit * many.contribution_chunks + first_column / kChunk,
                          many.contribution_chunks);
}

}  // namespace moebench::kernels::cuda
