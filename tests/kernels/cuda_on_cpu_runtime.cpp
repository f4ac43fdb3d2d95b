// The tensor cores' product, and the device's memory.
#include <cstdlib>
#include <cstring>

#include "kernels/bfloat16.h"
#include "tests/kernels/cuda_on_cpu.h"

namespace moebench::kernels::cuda {

void multiply_fragments(const uint32_t (&a)[32][4], const uint32_t (&b)[32][2], float* (&c)[32]) {
  float left[16][16], right[8][16];
  const auto set = [](float* two, uint32_t packed) {
    two[0] = float_of(static_cast<uint16_t>(packed & 0xffff));
    two[1] = float_of(static_cast<uint16_t>(packed >> 16));
  };
  for (int lane = 0; lane < 32; ++lane) {
    const int group = lane / 4, part = lane % 4;
    for (int r = 0; r < 4; ++r) set(&left[group + 8 * (r % 2)][2 * part + 8 * (r / 2)], a[lane][r]);
    for (int r = 0; r < 2; ++r) set(&right[group][2 * part + 8 * r], b[lane][r]);
  }
  for (int lane = 0; lane < 32; ++lane) {
    for (int i = 0; i < 4; ++i) {
      const float* row = left[lane / 4 + 8 * (i / 2)];
      const float* column = right[2 * (lane % 4) + i % 2];
      float sum = 0;
      for (int k = 0; k < 16; ++k) sum += row[k] * column[k];
      c[lane][i] += sum;
    }
  }
}

}  // namespace moebench::kernels::cuda

// NOLINTBEGIN(readability-identifier-naming): the names are CUDA's.
cudaError_t cudaMalloc(void** memory, size_t bytes) {
  *memory = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  if (*memory == nullptr) return cudaErrorMemoryAllocation;
  std::memset(*memory, 0xff, bytes);
  return cudaSuccess;
}

cudaError_t cudaFree(void* memory) {
  std::free(memory);
  return cudaSuccess;
}

cudaError_t cudaMemcpy2DAsync(void* target, size_t target_pitch, const void* source, size_t source_pitch, size_t width,
                              size_t height, cudaMemcpyKind, cudaStream_t) {
  for (size_t row = 0; row < height; ++row) {
    std::memcpy(static_cast<char*>(target) + row * target_pitch, static_cast<const char*>(source) + row * source_pitch,
                width);
  }
  return cudaSuccess;
}
// NOLINTEND(readability-identifier-naming)
