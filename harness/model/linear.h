#pragma once

#include <optional>

#include <ATen/core/Tensor.h>

namespace moebench {

// dtype, or float32 in place of bfloat16 on a CPU without AVX-512 (or with MOEBENCH_ISA=avx2): ATen's bfloat16 products
// take ten times as long there. Both sum in float32.
at::ScalarType product_dtype(at::ScalarType dtype, at::Device device);

// Whether apply_linear computes by kernels/cpu/row_products.h: without AVX-512 (or with MOEBENCH_ISA=avx2), where the
// bits of MKL's rows depend on the rows beside them and ATen's bfloat16 takes ten times as long as its float32. For
// float32 and bfloat16, on the CPU, from 16 rows on, and what needs no gradients.
bool has_row_products(const at::Tensor& input, const at::Tensor& weight);

// at::linear: input [..., K], weight [N, K], bias [N]; output [..., N]. Sums in float32, rounded once. A row's bits
// depend on that row alone where has_row_products, which takes 16 rows at least.
at::Tensor apply_linear(const at::Tensor& input, const at::Tensor& weight, const std::optional<at::Tensor>& bias = {});

}  // namespace moebench
