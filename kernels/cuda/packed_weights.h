// Weights in the order in which device code reads them (layout.h), made by the host once.
#pragma once

#include <vector>

#include "kernels/moe_ffn.h"

namespace moebench::kernels::cuda {

// Rows and columns that are missing are zero.
std::vector<char> packed_gate_up(const GatedExpert& expert, Dtype dtype);
std::vector<char> packed_down(const GatedExpert& expert, Dtype dtype);

// The matrix's elements, rows without gaps, padded with zeros to so many rows and columns.
std::vector<char> padded_matrix(const Matrix& matrix, int64_t rows, int64_t columns, Dtype dtype);

// A vector as floats, padded with zeros; empty where data is null.
std::vector<float> float_vector(const void* data, int64_t size, int64_t padded_size, Dtype dtype);
std::vector<float> float_matrix(const Matrix& matrix, Dtype dtype);

}  // namespace moebench::kernels::cuda
