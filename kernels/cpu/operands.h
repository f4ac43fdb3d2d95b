#pragma once

#include "kernels/cpu/micro_kernels.h"
#include "kernels/cpu/packed_weights.h"

namespace moebench::kernels {

// So many that share a panel pay for making floats of it first (MicroKernels::widened).
constexpr int64_t kWidenedRows = 32;

// What a tile multiplies: neighbouring panels, or the same steps of each, and rows; widened where that pays. One at a
// time on a thread, which keeps the memory.
class Operands {
 public:
  // num_rows: of all tiles.
  Operands(const MicroKernels& micro_kernels, int64_t num_rows, const Panels& panels, int64_t first_panel,
           int64_t num_panels, int64_t first_step, int64_t num_steps)
      : packed_kernels_(micro_kernels),
        is_widened_(micro_kernels.widened != nullptr && num_rows >= kWidenedRows),
        packed_steps_(num_steps),
        panels_(panels.panel(first_panel) + first_step * kPanelStepBytes),
        panel_bytes_(panels.panel_bytes()) {
    if (!is_widened_) return;
    const int64_t widened_bytes = 2 * num_steps * kPanelStepBytes;
    thread_local AlignedMemory widened;
    widened.grow(num_panels * widened_bytes);
    for (int64_t panel = 0; panel < num_panels; ++panel) {
      micro_kernels.widen_panel(panels_ + panel * panel_bytes_, num_steps,
                                reinterpret_cast<float*>(widened.data() + panel * widened_bytes));
    }
    panels_ = widened.data();
    panel_bytes_ = widened_bytes;
  }

  const MicroKernels& kernels() const { return is_widened_ ? *packed_kernels_.widened : packed_kernels_; }
  int64_t steps() const { return is_widened_ ? 2 * packed_steps_ : packed_steps_; }
  const void* panel(int64_t index) const { return panels_ + index * panel_bytes_; }

  // Of the tile that comes next: rows[r] as the kernels take it.
  void take_rows(const void** rows, int num_rows) const {
    if (!is_widened_) return;
    thread_local AlignedMemory widened;
    const int64_t row_bytes = 2 * packed_steps_ * kStepBytes;
    widened.grow(kMostRows * row_bytes);
    for (int row = 0; row < num_rows; ++row) {
      auto* floats = reinterpret_cast<float*>(widened.data() + row * row_bytes);
      packed_kernels_.widen_row(rows[row], packed_steps_, floats);
      rows[row] = floats;
    }
  }

 private:
  const MicroKernels& packed_kernels_;
  bool is_widened_;
  int64_t packed_steps_;
  const char* panels_;
  int64_t panel_bytes_;
};

}  // namespace moebench::kernels
