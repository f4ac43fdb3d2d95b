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

// Rows first_row and on of matrix, num_rows of them, as a panel's columns first_column and on. Four bytes at a time,
// some steps of all rows before the next: what is written lies side by side, what is read stays in the cache.
void pack_rows(const Matrix& matrix, int64_t first_row, int64_t num_rows, int64_t first_column, Dtype dtype,
               char* panel) {
  constexpr int64_t kBlockSteps = 16;
  const int64_t bytes = element_size(dtype), row_bytes = matrix.columns * bytes;
  const char* rows = static_cast<const char*>(matrix.data) + first_row * matrix.row_stride * bytes;
  const int64_t whole_steps = row_bytes / kStepBytes;
  for (int64_t block = 0; block < whole_steps; block += kBlockSteps) {
    for (int64_t row = 0; row < num_rows; ++row) {
      const char* source = rows + row * matrix.row_stride * bytes;
      char* target = panel + (first_column + row) * kStepBytes;
      for (int64_t step = block; step < std::min(block + kBlockSteps, whole_steps); ++step) {
        std::memcpy(target + step * kPanelStepBytes, source + step * kStepBytes, kStepBytes);
      }
    }
  }
  for (int64_t row = 0; row < num_rows && row_bytes % kStepBytes != 0; ++row) {
    std::memcpy(panel + whole_steps * kPanelStepBytes + (first_column + row) * kStepBytes,
                rows + row * matrix.row_stride * bytes + whole_steps * kStepBytes, row_bytes % kStepBytes);
  }
}

Panels empty_panels(int64_t num_panels, int64_t steps) {
  return {.memory = AlignedMemory(num_panels * steps * kPanelStepBytes), .num_panels = num_panels, .steps = steps};
}

int64_t divided_up(int64_t value, int64_t divisor) { return (value + divisor - 1) / divisor; }

}  // namespace

// A large piece comes from the system, zeroed by whichever thread writes it first.
AlignedMemory::AlignedMemory(size_t bytes) : bytes_(bytes) {
  if (bytes == 0) return;
  if (bytes < kHugePage) {
    const size_t rounded = (bytes + kCacheLine - 1) / kCacheLine * kCacheLine;
    data_ = {static_cast<char*>(std::aligned_alloc(kCacheLine, rounded)), Release{0}};
    if (!data_) throw std::bad_alloc();
    std::memset(data_.get(), 0, rounded);
    return;
  }
  const size_t mapped = (bytes + kHugePage - 1) / kHugePage * kHugePage;
  void* data = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) throw std::bad_alloc();
  madvise(data, mapped, MADV_HUGEPAGE);  // a wish: slower without
  data_ = {static_cast<char*>(data), Release{mapped}};
}

void AlignedMemory::Release::operator()(char* data) const {
  mapped_bytes > 0 ? static_cast<void>(munmap(data, mapped_bytes)) : std::free(data);
}

char* Panels::panel(int64_t index) const { return memory.data() + index * panel_bytes(); }

int64_t Panels::panel_bytes() const { return steps * kPanelStepBytes; }

int64_t steps_of(int64_t columns, Dtype dtype) { return divided_up(columns * element_size(dtype), kStepBytes); }

Panels pack(const Matrix& matrix, Dtype dtype, int64_t min_steps) {
  Panels panels =
      empty_panels(divided_up(matrix.rows, kPanelColumns), std::max(min_steps, steps_of(matrix.columns, dtype)));
#pragma omp parallel for
  for (int64_t panel = 0; panel < panels.num_panels; ++panel) {
    const int64_t first = panel * kPanelColumns, num_rows = std::min(kPanelColumns, matrix.rows - first);
    pack_rows(matrix, first, num_rows, 0, dtype, panels.panel(panel));
  }
  return panels;
}

Panels pack_pairs(const Matrix& first, const Matrix& second, Dtype dtype) {
  constexpr int64_t kHalf = kPanelColumns / 2;
  Panels panels = empty_panels(divided_up(first.rows, kHalf), steps_of(first.columns, dtype));
#pragma omp parallel for
  for (int64_t panel = 0; panel < panels.num_panels; ++panel) {
    const int64_t first_row = panel * kHalf, num_rows = std::min(kHalf, first.rows - first_row);
    pack_rows(first, first_row, num_rows, 0, dtype, panels.panel(panel));
    pack_rows(second, first_row, num_rows, kHalf, dtype, panels.panel(panel));
  }
  return panels;
}

std::vector<float> padded_floats(const void* values, int64_t count, Dtype dtype) {
  if (values == nullptr) return {};
  std::vector<float> floats(divided_up(count, kPanelColumns) * kPanelColumns);
  for (int64_t i = 0; i < count; ++i) {
    floats[i] = dtype == Dtype::kFloat32 ? static_cast<const float*>(values)[i]
                                         : float_of(static_cast<const uint16_t*>(values)[i]);
  }
  return floats;
}

PackedExpert::PackedExpert(const GatedExpert& expert, Dtype dtype)
    : width(expert.gate.rows),
      padded_width(divided_up(expert.gate.rows, kPanelColumns / 2) * (kPanelColumns / 2)),
      gate_up(pack_pairs(expert.gate, expert.up, dtype)),
      down(pack(expert.down, dtype, steps_of(padded_width, dtype))),
      output_bias(padded_floats(expert.output_bias, expert.down.rows, dtype)),
      absent_bias(padded_floats(expert.absent_bias, expert.down.rows, dtype)) {}

}  // namespace moebench::kernels
