// The launches of a call, stage by stage. They wait for nothing and copy nothing from the host, so that a CUDA graph
// can hold them. Each returns what the launch itself says; what goes wrong on the device, a later call of the runtime
// says.
#pragma once

#include <cstdint>

#include "kernels/cuda/layout.h"

namespace moebench::kernels::cuda {

// Of the product kernels: chosen by how many visits an expert gets.
enum class TileSize { kSmall, kLarge };

struct Launch {
  Dtype dtype;
  cudaStream_t stream;
};

// Once for a device and a dtype, before the others: loads the kernels and gives them room in shared memory.
cudaError_t prepare_kernels(Dtype dtype);

// input [num_tokens, columns], rows stride elements apart, to rows of padded_columns.
cudaError_t launch_pad_rows(const Launch& how, const void* input, int64_t stride, int columns, int num_tokens,
                            void* rows, int padded_columns);

cudaError_t launch_route_few(const Launch& how, const DeviceNetwork& network, const DeviceCall& call,
                             const FewTokens& few);
// most_visited experts with most_neurons (padded) each, at most.
cudaError_t launch_activate_few(const Launch& how, const DeviceNetwork& network, const DeviceCall& call,
                                const FewTokens& few, int most_visited, int most_neurons);
cudaError_t launch_combine_few(const Launch& how, const DeviceNetwork& network, const DeviceCall& call,
                               const FewTokens& few);

cudaError_t launch_route_many(const Launch& how, const DeviceNetwork& network, const DeviceCall& call);
cudaError_t launch_list_visits(const Launch& how, const DeviceNetwork& network, const DeviceCall& call,
                               const ManyTokens& many);
cudaError_t launch_gather_rows(const Launch& how, const DeviceNetwork& network, const DeviceCall& call,
                               const ManyTokens& many);
// Where many.gate_up is not null, gate and up go there, for launch_activate_rows.
cudaError_t launch_gate_up(const Launch& how, const DeviceNetwork& network, const DeviceCall& call,
                           const ManyTokens& many, TileSize size, int most_neurons);
cudaError_t launch_activate_rows(const Launch& how, const uint4* gate_up, uint4* activations, int num_rows,
                                 int64_t row_chunks);
cudaError_t launch_down(const Launch& how, const DeviceNetwork& network, const DeviceCall& call, const ManyTokens& many,
                        TileSize size);
cudaError_t launch_sum_visits(const Launch& how, const DeviceNetwork& network, const DeviceCall& call,
                              const ManyTokens& many);

}  // namespace moebench::kernels::cuda
