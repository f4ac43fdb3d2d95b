// CUDA enough to run this project's device code on the CPU: what nvcc and the runtime give, as plain C++. The threads
// of a block are fibers of one thread, which change places where they wait for one another; blocks run one after
// another. Memory of the device is the host's, filled with what is not a number; a copy that nobody waited for has not
// come; a barrier that not all threads reach ends the program. How tensor cores' lanes hold their operands is written
// down here a second time, from the PTX manual ("Matrix Fragments for mma.m16n8k16"). No clock: times mean nothing.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <utility>

#define __global__
#define __device__
#define __host__
#define __launch_bounds__(...)

// NOLINTBEGIN(readability-identifier-naming): the names are CUDA's.
struct alignas(16) uint4 {
  uint32_t x, y, z, w;
};

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  explicit dim3(unsigned x, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

inline thread_local dim3 threadIdx(0), blockIdx(0), gridDim(1);
// NOLINTEND(readability-identifier-naming)

namespace moebench::kernels::cuda_on_cpu {

// Runs kernel() for every thread of every block.
void run_grid(dim3 grid, int threads, size_t shared_bytes, const std::function<void()>& kernel);

// Whether blocks and their threads come in reversed order, to see that it does not matter.
inline bool is_reversed = false;

void* shared_memory();
void wait_for_block();
// The calling thread's argument of each of its warp's lanes, [32]; then all go on. Valid until the next call.
const uint64_t* exchange(uint64_t mine);
// By the last of a warp's lanes to come, while all wait: what each brought.
void run_for_warp(void* mine, const std::function<void(void* const* all)>& work);

void copy_async(void* target, const void* source, size_t bytes);
void commit_copies();
void wait_for_copies(int groups);

template <class Value>
uint64_t bits_of(Value value) {
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(value));
  return bits;
}

template <class Value>
Value exchanged(Value value, int lane, bool keeps_own = false) {
  const uint64_t bits = exchange(bits_of(value))[lane & 31];
  if (keeps_own) return value;
  Value result;
  std::memcpy(&result, &bits, sizeof(result));
  return result;
}

inline int lane() { return static_cast<int>(threadIdx.x % 32); }

}  // namespace moebench::kernels::cuda_on_cpu

// NOLINTBEGIN(readability-identifier-naming)
// What of the device's functions is used.
inline void __syncthreads() { moebench::kernels::cuda_on_cpu::wait_for_block(); }
inline void __syncwarp() { moebench::kernels::cuda_on_cpu::exchange(0); }
inline void __threadfence() {}
template <class Value>
Value __shfl_sync(unsigned, Value value, int lane) {
  return moebench::kernels::cuda_on_cpu::exchanged(value, lane);
}
template <class Value>
Value __shfl_xor_sync(unsigned, Value value, int mask) {
  return moebench::kernels::cuda_on_cpu::exchanged(value, moebench::kernels::cuda_on_cpu::lane() ^ mask);
}
template <class Value>
Value __shfl_up_sync(unsigned, Value value, int distance) {
  const int source = moebench::kernels::cuda_on_cpu::lane() - distance;
  return moebench::kernels::cuda_on_cpu::exchanged(value, source, /*keeps_own=*/source < 0);
}
inline unsigned __ballot_sync(unsigned, bool value) {
  const uint64_t* all = moebench::kernels::cuda_on_cpu::exchange(value);
  unsigned result = 0;
  for (int lane = 0; lane < 32; ++lane) result |= static_cast<unsigned>(all[lane]) << lane;
  return result;
}
inline int __popc(unsigned value) { return std::popcount(value); }
inline int __ffs(int value) { return __builtin_ffs(value); }
inline float __uint_as_float(uint32_t value) { return std::bit_cast<float>(value); }
inline uint32_t __float_as_uint(float value) { return std::bit_cast<uint32_t>(value); }
inline int32_t __float_as_int(float value) { return std::bit_cast<int32_t>(value); }
inline unsigned atomicAdd(unsigned* address, unsigned value) { return std::exchange(*address, *address + value); }
inline unsigned atomicOr(unsigned* address, unsigned value) { return std::exchange(*address, *address | value); }
using std::isnan;
using std::max;
using std::min;

// What of the runtime's functions is used.
enum cudaError_t { cudaSuccess, cudaErrorMemoryAllocation };
enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost };
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize };
struct cudaFuncAttributes {};
using cudaStream_t = void*;

cudaError_t cudaMalloc(void** memory, size_t bytes);
cudaError_t cudaFree(void* memory);
cudaError_t cudaMemcpy2DAsync(void* target, size_t target_pitch, const void* source, size_t source_pitch, size_t width,
                              size_t height, cudaMemcpyKind kind, cudaStream_t stream);
inline cudaError_t cudaMemcpy(void* target, const void* source, size_t bytes, cudaMemcpyKind) {
  std::memcpy(target, source, bytes);
  return cudaSuccess;
}
inline cudaError_t cudaMemset(void* memory, int value, size_t bytes) {
  std::memset(memory, value, bytes);
  return cudaSuccess;
}
inline const char* cudaGetErrorString(cudaError_t status) {
  return status == cudaSuccess ? "no error" : "out of memory";
}
inline cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  *stream = nullptr;
  return cudaSuccess;
}
inline cudaError_t cudaStreamDestroy(cudaStream_t) { return cudaSuccess; }
inline cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }
inline cudaError_t cudaDeviceSynchronize() { return cudaSuccess; }
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
template <class Kernel>
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes*, Kernel) {
  return cudaSuccess;
}
template <class Kernel>
cudaError_t cudaFuncSetAttribute(Kernel, cudaFuncAttribute, int) {
  return cudaSuccess;
}
// NOLINTEND(readability-identifier-naming)

namespace moebench::kernels::cuda {

template <class Shared>
Shared& shared_memory() {
  return *static_cast<Shared*>(cuda_on_cpu::shared_memory());
}

inline void copy_async(uint4* shared, const uint4* global) { cuda_on_cpu::copy_async(shared, global, sizeof(uint4)); }
inline void commit_copies() { cuda_on_cpu::commit_copies(); }
template <int kGroups>
void wait_for_copies() {
  cuda_on_cpu::wait_for_copies(kGroups);
}
inline uint4 load_once(const uint4* address) { return *address; }

// One warp's m16n8k16 product, from where its lanes hold it: lane = 4 group + part.
//   A [16, 16]: register r has columns 2 part + 8 (r / 2) + {0, 1} of row group + 8 (r % 2);
//   B [16, 8]:  register r has rows 2 part + 8 r + {0, 1} of column group;
//   C [16, 8]:  number i is row group + 8 (i / 2), column 2 part + i % 2.
void multiply_fragments(const uint32_t (&a)[32][4], const uint32_t (&b)[32][2], float* (&c)[32]);

template <int kPanels, int kBlocks>
void multiply_add(float (&sums)[kPanels][kBlocks][4], const uint4 (&weights)[kPanels][2],
                  const uint4 (&tokens)[kBlocks]) {
  struct Operands {
    float (&sums)[kPanels][kBlocks][4];
    const uint4 (&weights)[kPanels][2];
    const uint4 (&tokens)[kBlocks];
  } mine{sums, weights, tokens};
  cuda_on_cpu::run_for_warp(&mine, [](void* const* all) {
    for (int product = 0; product < 2 * kPanels * kBlocks; ++product) {
      const int half = product % 2, panel = product / 2 % kPanels, block = product / 2 / kPanels;
      uint32_t a[32][4], b[32][2];
      float* c[32];
      for (int lane = 0; lane < 32; ++lane) {
        const auto& operands = *static_cast<const Operands*>(all[lane]);
        std::memcpy(a[lane], &operands.weights[panel][half], sizeof(a[lane]));
        std::memcpy(b[lane], reinterpret_cast<const char*>(&operands.tokens[block]) + 8 * half, sizeof(b[lane]));
        c[lane] = operands.sums[panel][block];
      }
      multiply_fragments(a, b, c);
    }
  });
}

template <class... Parameters, class... Arguments>
cudaError_t launch(void (*kernel)(Parameters...), dim3 grid, int threads, size_t shared_bytes, cudaStream_t,
                   const Arguments&... arguments) {
  cuda_on_cpu::run_grid(grid, threads, shared_bytes, [&] { kernel(static_cast<Parameters>(arguments)...); });
  return cudaSuccess;
}

}  // namespace moebench::kernels::cuda
