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

// Writes row `row` of matrix as column `column` of a panel.
template <class Element>
void pack_row(const Matrix& matrix, int64_t row, int64_t column, char* panel) {
  constexpr int64_t kPerStep = kStepBytes / sizeof(Element);
  const Element* values = static_cast<const Element*>(matrix.data) + row * matrix.row_stride;
  auto* packed = reinterpret_cast<Element*>(panel) + column * kPerStep;
  for (int64_t i = 0; i < matrix.columns; ++i) {
    packed[i / kPerStep * (kPanelColumns * kPerStep) + i % kPerStep] = values[i];
  }
}

void pack_row(const Matrix& matrix, int64_t row, int64_t column, Dtype dtype, char* panel) {
  if (dtype == Dtype::kFloat32) return pack_row<float>(matrix, row, column, panel);
  pack_row<uint16_t>(matrix, row, column, panel);
}

Panels empty_panels(int64_t num_panels, int64_t steps) {
  return {.memory = AlignedMemory(num_panels * steps * kPanelStepBytes), .num_panels = num_panels, .steps = steps};
}

int64_t divided_up(int64_t value, int64_t divisor) { return (value + divisor - 1) / divisor; }

}  // namespace

AlignedMemory::AlignedMemory(size_t bytes) : bytes_(bytes) {
  if (bytes == 0) return;
  const size_t alignment = bytes >= kHugePage ? kHugePage : kCacheLine;
  const size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  data_.reset(static_cast<char*>(std::aligned_alloc(alignment, rounded)));
  if (!data_) throw std::bad_alloc();
  if (alignment == kHugePage) madvise(data_.get(), rounded, MADV_HUGEPAGE);  // a wish: slower without
  std::memset(data_.get(), 0, rounded);
}

void AlignedMemory::Free::operator()(char* data) const { std::free(data); }

char* Panels::panel(int64_t index) const { return memory.data() + index * panel_bytes(); }

int64_t Panels::panel_bytes() const { return steps * kPanelStepBytes; }

int64_t steps_of(int64_t columns, Dtype dtype) { return divided_up(columns * element_size(dtype), kStepBytes); }

Panels pack(const Matrix& matrix, Dtype dtype, int64_t min_steps) {
  Panels panels =
      empty_panels(divided_up(matrix.rows, kPanelColumns), std::max(min_steps, steps_of(matrix.columns, dtype)));
#pragma omp parallel for
  for (int64_t panel = 0; panel < panels.num_panels; ++panel) {
    const int64_t first = panel * kPanelColumns, num_rows = std::min(kPanelColumns, matrix.rows - first);
    for (int64_t row = 0; row < num_rows; ++row) pack_row(matrix, first + row, row, dtype, panels.panel(panel));
  }
  return panels;
}

Panels pack_pairs(const Matrix& first, const Matrix& second, Dtype dtype) {
  constexpr int64_t kHalf = kPanelColumns / 2;
  Panels panels = empty_panels(divided_up(first.rows, kHalf), steps_of(first.columns, dtype));
#pragma omp parallel for
  for (int64_t panel = 0; panel < panels.num_panels; ++panel) {
    const int64_t first_row = panel * kHalf, num_rows = std::min(kHalf, first.rows - first_row);
    for (int64_t row = 0; row < num_rows; ++row) {
      pack_row(first, first_row + row, row, dtype, panels.panel(panel));
      pack_row(second, first_row + row, kHalf + row, dtype, panels.panel(panel));
    }
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
