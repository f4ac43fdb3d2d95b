// What device code needs beyond C++. Under nvcc it is the hardware's; tests compile the same sources as plain C++, with
// the threads of a block as fibers (MOEBENCH_CUDA_ON_CPU).
#pragma once

#ifdef MOEBENCH_CUDA_ON_CPU
#include "tests/kernels/cuda_on_cpu.h"
#else

#include <cstdint>

#include <cuda_runtime.h>

namespace moebench::kernels::cuda {

#ifdef __CUDACC__

// The block's shared memory, as large as its launch says.
template <class Shared>
__device__ Shared& shared_memory() {
  extern __shared__ __align__(128) unsigned char shared_bytes[];
  return *reinterpret_cast<Shared*>(shared_bytes);
}

// 16 bytes, on their way until wait_for_copies.
__device__ inline void copy_async(uint4* shared, const uint4* global) {
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(address), "l"(global) : "memory");
}
// Those since the last commit are a group.
__device__ inline void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Until at most so many of this thread's newest groups are on their way.
template <int kGroups>
__device__ void wait_for_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kGroups) : "memory");
}

// What is read once and shall push nothing out of the caches.
__device__ inline uint4 load_once(const uint4* address) { return __ldcs(address); }

// sums += weights tokens, for kPanels panels of 16 rows and kBlocks blocks of 8 tokens, 32 columns of bfloat16 deep;
// the lanes hold the fragments of two m16n8k16 products, as the PTX manual draws them.
template <int kPanels, int kBlocks>
__device__ void multiply_add(float (&sums)[kPanels][kBlocks][4], const uint4 (&weights)[kPanels][2],
                             const uint4 (&tokens)[kBlocks]) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
#pragma unroll
    for (int panel = 0; panel < kPanels; ++panel) {
      const uint4 a = weights[panel][half];
#pragma unroll
      for (int block = 0; block < kBlocks; ++block) {
        float(&c)[4] = sums[panel][block];
        const uint32_t b0 = half == 0 ? tokens[block].x : tokens[block].z;
        const uint32_t b1 = half == 0 ? tokens[block].y : tokens[block].w;
        asm volatile(
            "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
            : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
            : "r"(a.x), "r"(a.y), "r"(a.z), "r"(a.w), "r"(b0), "r"(b1));
      }
    }
  }
}

template <class... Parameters, class... Arguments>
cudaError_t launch(void (*kernel)(Parameters...), dim3 grid, int threads, size_t shared_bytes, cudaStream_t stream,
                   Arguments&&... arguments) {
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = dim3(static_cast<unsigned>(threads));
  config.dynamicSmemBytes = shared_bytes;
  config.stream = stream;
  return cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...);
}

#endif  // __CUDACC__

}  // namespace moebench::kernels::cuda

#endif  // MOEBENCH_CUDA_ON_CPU
