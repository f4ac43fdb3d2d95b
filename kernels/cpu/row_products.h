// Products of many rows with one weight, in float32, which nothing is packed for beforehand. Sums run over columns in
// ascending order, part by part: a row's bits depend neither on the rows beside it nor on how the work is shared.
#pragma once

#include "kernels/cpu/micro_kernels.h"
#include "kernels/moe_ffn.h"

namespace moebench::kernels {

struct RowProducts {
  Matrix weight;  // [N, K]
  Dtype weight_dtype = Dtype::kFloat32;
  const float* rows = nullptr;  // [num_rows, K] without gaps
  int64_t num_rows = 0;
  float* products = nullptr;  // [num_rows, N] without gaps: of every row with every row of weight

  // Parts of N that threads may share.
  int64_t num_panels() const;
  // Of panels [begin, end).
  void compute(int64_t begin, int64_t end, const InstructionSet& instruction_set) const;

 private:
  void compute_panel(int64_t panel, int64_t first_row, int64_t block_rows, const MicroKernels& micro_kernels) const;
};

}  // namespace moebench::kernels
