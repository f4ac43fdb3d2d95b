#include "kernels/cuda/launch.h"

#include <algorithm>
#include <initializer_list>
#include <type_traits>

#include "kernels/cuda/few_tokens.cuh"
#include "kernels/cuda/many_tokens.cuh"
#include "kernels/cuda/products.cuh"

namespace moebench::kernels::cuda {
namespace {

unsigned divided_up(int64_t value, int64_t divisor) { return static_cast<unsigned>((value + divisor - 1) / divisor); }

// Calls function with a null pointer to the dtype's element.
template <class Function>
cudaError_t with_element(Dtype dtype, const Function& function) {
  return dtype == Dtype::kFloat32 ? function(static_cast<float*>(nullptr)) : function(static_cast<BFloat16*>(nullptr));
}

template <class Function>
cudaError_t with_tile(Dtype dtype, TileSize size, const Function& function) {
  if (dtype == Dtype::kFloat32) return function(FloatTile{});
  return size == TileSize::kSmall ? function(SmallTile{}) : function(LargeTile{});
}

// Function with the number of blocks of 8 tokens as a constant.
template <class Function>
cudaError_t with_blocks(int num_tokens, const Function& function) {
  if (num_tokens <= kTokenBlock) return function(std::integral_constant<int, 1>{});
  return function(std::integral_constant<int, kFewTokens / kTokenBlock>{});
}

int num_visits(const DeviceNetwork& network, const DeviceCall& call) {
  return call.num_tokens * (network.top_k + (network.has_shared ? 1 : 0));
}

// At most: each expert's last tile may hold one visit.
template <class Tile>
unsigned num_tiles(const DeviceNetwork& network, const DeviceCall& call) {
  const int visits = num_visits(network, call);
  const int experts = min(visits, network.num_experts + 1);
  return static_cast<unsigned>(visits / Tile::kTokens + experts);
}

// The first that is not success.
cudaError_t first_failure(std::initializer_list<cudaError_t> statuses) {
  return *std::find_if(statuses.begin(), statuses.end() - 1, [](cudaError_t status) { return status != cudaSuccess; });
}

template <class Tile>
cudaError_t allow_shared_memory() {
  constexpr int kBytes = sizeof(ProductShared<Tile>);
  constexpr auto kMost = cudaFuncAttributeMaxDynamicSharedMemorySize;
  return first_failure({cudaFuncSetAttribute(multiply_gate_up<Tile, true>, kMost, kBytes),
                        cudaFuncSetAttribute(multiply_gate_up<Tile, false>, kMost, kBytes),
                        cudaFuncSetAttribute(multiply_down<Tile>, kMost, kBytes)});
}

// Else the driver would load a kernel when it is first launched, which a stream that is being captured forbids.
template <class... Kernels>
cudaError_t load(Kernels... kernels) {
  cudaFuncAttributes attributes;
  return first_failure({cudaFuncGetAttributes(&attributes, kernels)...});
}

template <class Element>
cudaError_t load_others() {
  return load(pad_rows<Element>, route_few<Element>, activate_few<Element, 1>, activate_few<Element, 2>,
              combine_few<Element, 1>, combine_few<Element, 2>, route_many<Element>, list_visits, gather_rows,
              activate_rows<Element>, sum_visits<Element>);
}

}  // namespace

cudaError_t prepare_kernels(Dtype dtype) {
  if (dtype == Dtype::kFloat32) return first_failure({allow_shared_memory<FloatTile>(), load_others<float>()});
  return first_failure({allow_shared_memory<SmallTile>(), allow_shared_memory<LargeTile>(), load_others<BFloat16>()});
}

cudaError_t launch_pad_rows(const Launch& how, const void* input, int64_t stride, int columns, int num_tokens,
                            void* rows, int padded_columns) {
  return with_element(how.dtype, [&]<class Element>(Element*) {
    return launch(pad_rows<Element>, dim3(num_tokens), kRowThreads, 0, how.stream, static_cast<const Element*>(input),
                  stride, columns, static_cast<Element*>(rows), padded_columns);
  });
}

cudaError_t launch_route_few(const Launch& how, const DeviceNetwork& network, const DeviceCall& call,
                             const FewTokens& few) {
  const unsigned blocks = network.router.kind == Router::Kind::kGiven ? 1 : call.num_tokens;
  return with_element(how.dtype, [&]<class Element>(Element*) {
    return launch(route_few<Element>, dim3(blocks), kFewThreads, few_router_bytes(network.num_experts), how.stream,
                  network, call, few);
  });
}

cudaError_t launch_activate_few(const Launch& how, const DeviceNetwork& network, const DeviceCall& call,
                                const FewTokens& few, int most_visited, int most_neurons) {
  if (most_visited == 0) return cudaSuccess;
  const dim3 grid(most_neurons / kPanelNeurons, most_visited);
  return with_element(how.dtype, [&]<class Element>(Element*) {
    return with_blocks(call.num_tokens, [&](auto blocks) {
      return launch(activate_few<Element, blocks.value>, grid, kFewThreads, sizeof(FewShared<blocks.value>), how.stream,
                    network, call, few);
    });
  });
}

cudaError_t launch_combine_few(const Launch& how, const DeviceNetwork& network, const DeviceCall& call,
                               const FewTokens& few) {
  const dim3 grid(divided_up(network.hidden_size, kPanelRows));
  return with_element(how.dtype, [&]<class Element>(Element*) {
    return with_blocks(call.num_tokens, [&](auto blocks) {
      return launch(combine_few<Element, blocks.value>, grid, kFewThreads, sizeof(FewShared<blocks.value>), how.stream,
                    network, call, few);
    });
  });
}

cudaError_t launch_route_many(const Launch& how, const DeviceNetwork& network, const DeviceCall& call) {
  const size_t bytes = 3 * sizeof(float) * kRouteWarps * network.num_experts;
  return with_element(how.dtype, [&]<class Element>(Element*) {
    return launch(route_many<Element>, dim3(divided_up(call.num_tokens, kRouteWarps)), kRouteWarps * kWarp, bytes,
                  how.stream, network, call);
  });
}

cudaError_t launch_list_visits(const Launch& how, const DeviceNetwork& network, const DeviceCall& call,
                               const ManyTokens& many) {
  return launch(list_visits, dim3(network.num_experts + 1), kListThreads, sizeof(ListShared), how.stream, network, call,
                many);
}

cudaError_t launch_gather_rows(const Launch& how, const DeviceNetwork& network, const DeviceCall& call,
                               const ManyTokens& many) {
  if (network.top_k == 0) return cudaSuccess;
  const int row_chunks = static_cast<int>(network.padded_hidden_size * element_size(how.dtype) / sizeof(uint4));
  return launch(gather_rows, dim3(call.num_tokens * network.top_k), kRowThreads, 0, how.stream, network, call, many,
                row_chunks);
}

cudaError_t launch_gate_up(const Launch& how, const DeviceNetwork& network, const DeviceCall& call,
                           const ManyTokens& many, TileSize size, int most_neurons) {
  return with_tile(how.dtype, size, [&]<class Tile>(Tile) {
    const unsigned columns = divided_up(most_neurons, Tile::kPanels * kPanelNeurons);
    const dim3 grid(num_tiles<Tile>(network, call) * columns);
    if (grid.x == 0) return cudaSuccess;
    const auto kernel = many.gate_up ? multiply_gate_up<Tile, false> : multiply_gate_up<Tile, true>;
    return launch(kernel, grid, kProductThreads, sizeof(ProductShared<Tile>), how.stream, network, call, many,
                  static_cast<int>(columns));
  });
}

cudaError_t launch_activate_rows(const Launch& how, const uint4* gate_up, uint4* activations, int num_rows,
                                 int64_t row_chunks) {
  if (num_rows == 0 || row_chunks == 0) return cudaSuccess;
  return with_element(how.dtype, [&]<class Element>(Element*) {
    return launch(activate_rows<Element>, dim3(num_rows), kRowThreads, 0, how.stream, gate_up, activations, row_chunks);
  });
}

cudaError_t launch_down(const Launch& how, const DeviceNetwork& network, const DeviceCall& call, const ManyTokens& many,
                        TileSize size) {
  return with_tile(how.dtype, size, [&]<class Tile>(Tile) {
    const unsigned columns = divided_up(network.hidden_size, Tile::kPanels * kPanelRows);
    const dim3 grid(num_tiles<Tile>(network, call) * columns);
    if (grid.x == 0) return cudaSuccess;
    return launch(multiply_down<Tile>, grid, kProductThreads, sizeof(ProductShared<Tile>), how.stream, network, many,
                  static_cast<int>(columns));
  });
}

cudaError_t launch_sum_visits(const Launch& how, const DeviceNetwork& network, const DeviceCall& call,
                              const ManyTokens& many) {
  const int64_t columns = kRowThreads * static_cast<int64_t>(sizeof(uint4)) / element_size(how.dtype);
  const dim3 grid(divided_up(network.hidden_size, columns), call.num_tokens);
  return with_element(how.dtype, [&]<class Element>(Element*) {
    return launch(sum_visits<Element>, grid, kRowThreads, 0, how.stream, network, call, many);
  });
}

}  // namespace moebench::kernels::cuda
