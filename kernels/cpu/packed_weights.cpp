#include "kernels/cpu/packed_weights.h"

#include <sys/mman.h>
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "kernels/bfloat16.h"
#include "kernels/cpu/micro_kernels.h"

namespace moebench::kernels {
namespace {

constexpr size_t kCacheLine = 64, kHugePage = size_t{1} << 21;

// Four steps of four rows: vectors of the baseline of every x86-64.
void transpose_four(const char* rows, int64_t row_bytes, char* panel) {
  typedef float Four __attribute__((vector_size(16)));
  Four a, b, c, d;
  std::memcpy(&a, rows, sizeof(a));
  std::memcpy(&b, rows + row_bytes, sizeof(b));
  std::memcpy(&c, rows + 2 * row_bytes, sizeof(c));
  std::memcpy(&d, rows + 3 * row_bytes, sizeof(d));
  const Four low_ab = __builtin_shufflevector(a, b, 0, 4, 1, 5), high_ab = __builtin_shufflevector(a, b, 2, 6, 3, 7);
  const Four low_cd = __builtin_shufflevector(c, d, 0, 4, 1, 5), high_cd = __builtin_shufflevector(c, d, 2, 6, 3, 7);
  const Four steps[4] = {
      __builtin_shufflevector(low_ab, low_cd, 0, 1, 4, 5), __builtin_shufflevector(low_ab, low_cd, 2, 3, 6, 7),
      __builtin_shufflevector(high_ab, high_cd, 0, 1, 4, 5), __builtin_shufflevector(high_ab, high_cd, 2, 3, 6, 7)};
  for (int step = 0; step < 4; ++step) std::memcpy(panel + step * kPanelStepBytes, &steps[step], sizeof(Four));
}

// Rows first_row and on of matrix, num_rows of them, as a panel's columns first_column and on.
void pack_rows(const Matrix& matrix, int64_t first_row, int64_t num_rows, int64_t first_column, Dtype dtype,
               char* panel) {
  const int64_t bytes = element_size(dtype), row_bytes = matrix.columns * bytes;
  const char* rows = static_cast<const char*>(matrix.data) + first_row * matrix.row_stride * bytes;
  const int64_t whole_steps = row_bytes / kStepBytes;
  transpose_steps(rows, matrix.row_stride * bytes, num_rows, whole_steps, panel + first_column * kStepBytes);
  for (int64_t row = 0; row < num_rows && row_bytes % kStepBytes != 0; ++row) {
    std::memcpy(panel + whole_steps * kPanelStepBytes + (first_column + row) * kStepBytes,
                rows + row * matrix.row_stride * bytes + whole_steps * kStepBytes, row_bytes % kStepBytes);
  }
}

}  // namespace

// A large piece comes from the system, zeroed by whichever thread writes it first.
AlignedMemory::AlignedMemory(size_t bytes) : bytes_(bytes) {
  if (bytes == 0) return;
  if (bytes < kHugePage) {
    const size_t rounded = (bytes + kCacheLine - 1) / kCacheLine * kCacheLine;
    data_ = static_cast<char*>(std::aligned_alloc(kCacheLine, rounded));
    if (data_ == nullptr) throw std::bad_alloc();
    memory_ = {data_, Release{0}};
    std::memset(data_, 0, rounded);
    return;
  }
  const size_t rounded = (bytes + kHugePage - 1) / kHugePage * kHugePage, mapped = rounded + kHugePage;
  void* address = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address == MAP_FAILED) throw std::bad_alloc();
  memory_ = {static_cast<char*>(address), Release{mapped}};
  data_ = memory_.get() + (kHugePage - reinterpret_cast<uintptr_t>(address) % kHugePage) % kHugePage;
  madvise(data_, rounded, MADV_HUGEPAGE);  // a wish: slower without
}

void AlignedMemory::Release::operator()(char* data) const {
  mapped_bytes > 0 ? static_cast<void>(munmap(data, mapped_bytes)) : std::free(data);
}

// Some steps of all rows before the next: what is written lies side by side, what is read stays in the cache.
void transpose_steps(const char* rows, int64_t row_bytes, int64_t num_rows, int64_t num_steps, char* panel) {
  constexpr int64_t kBlockSteps = 16;
  const int64_t whole_rows = num_rows / 4 * 4;
  for (int64_t block = 0; block < num_steps; block += kBlockSteps) {
    const int64_t end = std::min(block + kBlockSteps, num_steps);
    const int64_t whole_end = block + (end - block) / 4 * 4;
    for (int64_t row = 0; row < whole_rows; row += 4) {
      for (int64_t step = block; step < whole_end; step += 4) {
        transpose_four(rows + row * row_bytes + step * kStepBytes, row_bytes,
                       panel + step * kPanelStepBytes + row * kStepBytes);
      }
    }
    for (int64_t row = 0; row < num_rows; ++row) {
      for (int64_t step = row < whole_rows ? whole_end : block; step < end; ++step) {
        std::memcpy(panel + step * kPanelStepBytes + row * kStepBytes, rows + row * row_bytes + step * kStepBytes,
                    kStepBytes);
      }
    }
  }
}

int64_t Panels::panel_bytes() const { return steps * kPanelStepBytes; }

Panels PanelMemory::take(Panels panels) {
  panels.data = memory_.data() + taken_;
  taken_ += panels.bytes();  // a multiple of a cache line, as a step is
  return panels;
}

int64_t steps_of(int64_t columns, Dtype dtype) { return divided_up(columns * element_size(dtype), kStepBytes); }

Panels panels_of(const Matrix& matrix, Dtype dtype, int64_t min_steps) {
  return {.num_panels = divided_up(matrix.rows, kPanelColumns),
          .steps = std::max(min_steps, steps_of(matrix.columns, dtype))};
}

Panels pair_panels_of(const Matrix& first, Dtype dtype) {
  return {.num_panels = divided_up(first.rows, kPanelColumns / 2), .steps = steps_of(first.columns, dtype)};
}

void pack(const Matrix& matrix, Dtype dtype, const Panels& panels) {
#pragma omp parallel for
  for (int64_t panel = 0; panel < panels.num_panels; ++panel) {
    const int64_t first = panel * kPanelColumns, num_rows = std::min(kPanelColumns, matrix.rows - first);
    pack_rows(matrix, first, num_rows, 0, dtype, panels.panel(panel));
  }
}

void pack_pairs(const Matrix& first, const Matrix& second, Dtype dtype, const Panels& panels) {
  constexpr int64_t kHalf = kPanelColumns / 2;
#pragma omp parallel for
  for (int64_t panel = 0; panel < panels.num_panels; ++panel) {
    const int64_t first_row = panel * kHalf, num_rows = std::min(kHalf, first.rows - first_row);
    pack_rows(first, first_row, num_rows, 0, dtype, panels.panel(panel));
    pack_rows(second, first_row, num_rows, kHalf, dtype, panels.panel(panel));
  }
}

std::vector<float> padded_floats(const void* values, int64_t count, Dtype dtype) {
  if (values == nullptr) return {};
  std::vector<float> floats(divided_up(count, kPanelColumns) * kPanelColumns);
  for (int64_t i = 0; i < count; ++i) floats[i] = element(values, i, dtype);
  return floats;
}

namespace {

int64_t padded_width_of(const GatedExpert& expert) {
  constexpr int64_t kHalf = kPanelColumns / 2;
  return divided_up(expert.gate.rows, kHalf) * kHalf;
}

Panels down_panels_of(const GatedExpert& expert, Dtype dtype) {
  return panels_of(expert.down, dtype, steps_of(padded_width_of(expert), dtype));
}

}  // namespace

int64_t PackedExpert::panel_bytes(const GatedExpert& expert, Dtype dtype) {
  return pair_panels_of(expert.gate, dtype).bytes() + down_panels_of(expert, dtype).bytes();
}

PackedExpert::PackedExpert(const GatedExpert& expert, Dtype dtype, PanelMemory& memory)
    : width(expert.gate.rows),
      padded_width(padded_width_of(expert)),
      gate_up(memory.take(pair_panels_of(expert.gate, dtype))),
      down(memory.take(down_panels_of(expert, dtype))),
      output_bias(padded_floats(expert.output_bias, expert.down.rows, dtype)),
      absent_bias(padded_floats(expert.absent_bias, expert.down.rows, dtype)) {
  pack_pairs(expert.gate, expert.up, dtype, gate_up);
  pack(expert.down, dtype, down);
}

}  // namespace moebench::kernels
