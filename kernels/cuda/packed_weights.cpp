#include "kernels/cuda/packed_weights.h"

#include <algorithm>
#include <cstring>

#include "kernels/bfloat16.h"
#include "kernels/cuda/layout.h"

namespace moebench::kernels::cuda {
namespace {

// Columns [first, first + count) of a row, zero where there are none.
void copy_columns(const Matrix& matrix, int64_t row, int64_t first, int64_t count, int64_t bytes, char* target) {
  if (row >= matrix.rows || first >= matrix.columns) return;
  const int64_t present = std::min(count, matrix.columns - first);
  std::memcpy(target, static_cast<const char*>(matrix.data) + (row * matrix.row_stride + first) * bytes,
              present * bytes);
}

// Both chunks of a lane, in a step whose rows `row` are of `upper` and rows row + 8 of `lower`.
void pack_lane(const Matrix& upper, int64_t upper_row, const Matrix& lower, int64_t lower_row, int64_t first_column,
               int part, Dtype dtype, char* chunks) {
  constexpr int64_t kHalf = kWarp * sizeof(uint4);
  if (dtype == Dtype::kFloat32) {
    const int64_t column = first_column + 4 * part;
    copy_columns(upper, upper_row, column, 4, 4, chunks);
    copy_columns(lower, lower_row, column, 4, 4, chunks + kHalf);
    return;
  }
  for (int half = 0; half < 2; ++half) {
    for (int pair = 0; pair < 2; ++pair) {
      const int64_t column = first_column + 8 * part + 4 * half + 2 * pair;
      copy_columns(upper, upper_row, column, 2, 2, chunks + half * kHalf + 8 * pair);
      copy_columns(lower, lower_row, column, 2, 2, chunks + half * kHalf + 8 * pair + 4);
    }
  }
}

// Panels whose rows 0 to 7 are upper's and whose rows 8 to 15 are lower's, each from panel to panel `advance` rows on.
std::vector<char> pack(const Matrix& upper, const Matrix& lower, int64_t lower_offset, int64_t advance,
                       int64_t num_panels, int64_t columns, Dtype dtype) {
  constexpr int64_t kPanelStepBytes = kStepChunks * sizeof(uint4);
  const int64_t step_columns = kStepBytes / element_size(dtype), num_steps = columns / step_columns;
  std::vector<char> packed(num_panels * num_steps * kPanelStepBytes);
  for (int64_t panel = 0; panel < num_panels; ++panel) {
    for (int64_t step = 0; step < num_steps; ++step) {
      char* chunks = packed.data() + (panel * num_steps + step) * kPanelStepBytes;
      for (int lane = 0; lane < kWarp; ++lane) {
        const int64_t row = panel * advance + lane / 4;
        pack_lane(upper, row, lower, row + lower_offset, step * step_columns, lane % 4, dtype,
                  chunks + lane * sizeof(uint4));
      }
    }
  }
  return packed;
}

}  // namespace

std::vector<char> packed_gate_up(const GatedExpert& expert, Dtype dtype) {
  const int64_t num_panels = padded(expert.gate.rows, kTileNeurons) / kPanelNeurons;
  return pack(expert.gate, expert.up, 0, kPanelNeurons, num_panels, padded(expert.gate.columns, kPadding), dtype);
}

std::vector<char> packed_down(const GatedExpert& expert, Dtype dtype) {
  const int64_t num_panels = padded(expert.down.rows, kTileRows) / kPanelRows;
  return pack(expert.down, expert.down, kPanelRows / 2, kPanelRows, num_panels, padded(expert.down.columns, kPadding),
              dtype);
}

std::vector<char> padded_matrix(const Matrix& matrix, int64_t rows, int64_t columns, Dtype dtype) {
  const int64_t bytes = element_size(dtype);
  std::vector<char> result(rows * columns * bytes);
  for (int64_t row = 0; row < matrix.rows; ++row) {
    copy_columns(matrix, row, 0, columns, bytes, result.data() + row * columns * bytes);
  }
  return result;
}

std::vector<float> float_vector(const void* data, int64_t size, int64_t padded_size, Dtype dtype) {
  if (data == nullptr) return {};
  std::vector<float> result(padded_size);
  for (int64_t i = 0; i < size; ++i) result[i] = element(data, i, dtype);
  return result;
}

std::vector<float> float_matrix(const Matrix& matrix, Dtype dtype) {
  const std::vector<char> elements = padded_matrix(matrix, matrix.rows, matrix.columns, dtype);
  const int64_t size = matrix.rows * matrix.columns;
  return float_vector(elements.data(), size, size, dtype);
}

}  // namespace moebench::kernels::cuda
