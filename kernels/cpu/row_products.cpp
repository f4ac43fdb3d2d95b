#include "kernels/cpu/row_products.h"

#include <algorithm>
#include <array>
#include <vector>

#include "kernels/bfloat16.h"
#include "kernels/cpu/packed_weights.h"
#include "kernels/cpu/row_tiles.h"

namespace moebench::kernels {
namespace {

// What is packed at a time: 32 columns of so many steps stay in the first cache while all rows pass.
constexpr int64_t kSegmentSteps = 192;
constexpr int64_t kBlockRows = 1024;

// Rows first_row and on of weight, columns first_step and on, as a panel of floats.
void pack_floats(const Matrix& weight, Dtype dtype, int64_t first_row, int64_t first_step, int64_t num_steps,
                 char* panel) {
  const int64_t num_rows = std::min(kPanelColumns, weight.rows - first_row);
  const int64_t first = first_row * weight.row_stride + first_step;
  constexpr int64_t kFloatBytes = sizeof(float);
  if (dtype == Dtype::kFloat32) {
    return transpose_steps(static_cast<const char*>(weight.data) + first * kFloatBytes, weight.row_stride * kFloatBytes,
                           num_rows, num_steps, panel);
  }
  std::array<float, kPanelColumns * kSegmentSteps> floats;
  for (int64_t row = 0; row < num_rows; ++row) {
    const auto* values = static_cast<const uint16_t*>(weight.data) + first + row * weight.row_stride;
    for (int64_t step = 0; step < num_steps; ++step) floats[row * num_steps + step] = float_of(values[step]);
  }
  transpose_steps(reinterpret_cast<const char*>(floats.data()), num_steps * kFloatBytes, num_rows, num_steps, panel);
}

}  // namespace

int64_t RowProducts::num_panels() const { return divided_up(weight.rows, kPanelColumns); }

void RowProducts::compute_panel(int64_t panel, int64_t first_row, int64_t block_rows,
                                const MicroKernels& micro_kernels) const {
  thread_local AlignedMemory packed(kSegmentSteps * kPanelStepBytes);
  thread_local std::vector<float> sums;
  const int64_t columns = weight.columns, first_column = panel * kPanelColumns;
  sums.assign(block_rows * kPanelColumns, 0);
  std::array<float, kMostRows> ones;
  ones.fill(1);
  for (int64_t step = 0; step < columns; step += kSegmentSteps) {
    const int64_t num_steps = std::min(kSegmentSteps, columns - step);
    pack_floats(weight, weight_dtype, first_column, step, num_steps, packed.data());
    for_tiles(block_rows, micro_kernels.max_rows, [&](int64_t first, int tile_rows) {
      std::array<const void*, kMostRows> tile;
      std::array<float*, kMostRows> tile_sums;
      for (int row = 0; row < tile_rows; ++row) {
        tile[row] = rows + (first_row + first + row) * columns + step;
        tile_sums[row] = sums.data() + (first + row) * kPanelColumns;
      }
      micro_kernels.accumulate(packed.data(), num_steps, tile.data(), tile_rows, ones.data(), nullptr, nullptr,
                               tile_sums.data());
    });
  }
  const int64_t num_columns = std::min(kPanelColumns, weight.rows - first_column);
  for (int64_t row = 0; row < block_rows; ++row) {
    std::copy_n(sums.data() + row * kPanelColumns, num_columns,
                products + (first_row + row) * weight.rows + first_column);
  }
}

void RowProducts::compute(int64_t begin, int64_t end, const InstructionSet& instruction_set) const {
  for (int64_t first_row = 0; first_row < num_rows; first_row += kBlockRows) {
    for (int64_t panel = begin; panel < end; ++panel) {
      compute_panel(panel, first_row, std::min(kBlockRows, num_rows - first_row), instruction_set.float32);
    }
  }
}

}  // namespace moebench::kernels
