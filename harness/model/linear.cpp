#include "harness/model/linear.h"

#include <vector>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include "kernels/cpu/instruction_set.h"
#include "kernels/cpu/row_products.h"

namespace moebench {
namespace {

// Packing a weight for fewer rows would take longer than their products.
constexpr int64_t kFewestRowsToPack = 16;

// Null where there is more than that, or less.
const kernels::InstructionSet* avx2() {
  static const kernels::InstructionSet* const chosen = kernels::chosen_instruction_set();
  return kernels::is_avx2(chosen) ? chosen : nullptr;
}

bool is_known(const at::Tensor& tensor) {
  return tensor.is_cpu() && (tensor.scalar_type() == at::kFloat || tensor.scalar_type() == at::kBFloat16) &&
         !(at::GradMode::is_enabled() && tensor.requires_grad());
}

}  // namespace

at::ScalarType product_dtype(at::ScalarType dtype, at::Device device) {
  return dtype == at::kBFloat16 && device.is_cpu() && avx2() != nullptr ? at::kFloat : dtype;
}

bool has_row_products(const at::Tensor& input, const at::Tensor& weight) {
  return avx2() != nullptr && is_known(input) && is_known(weight) && weight.stride(1) == 1 &&
         input.numel() >= kFewestRowsToPack * input.size(-1);
}

at::Tensor apply_linear(const at::Tensor& input, const at::Tensor& weight, const std::optional<at::Tensor>& bias) {
  if (!has_row_products(input, weight)) return at::linear(input, weight, bias);
  const at::Tensor rows = input.to(at::kFloat).contiguous();
  std::vector<int64_t> sizes = input.sizes().vec();
  sizes.back() = weight.size(0);
  at::Tensor products = at::empty(sizes, rows.options());
  const kernels::RowProducts call{
      .weight = {weight.const_data_ptr(), weight.size(0), weight.size(1), weight.stride(0)},
      .weight_dtype = weight.scalar_type() == at::kFloat ? kernels::Dtype::kFloat32 : kernels::Dtype::kBFloat16,
      .rows = rows.const_data_ptr<float>(),
      .num_rows = rows.numel() / rows.size(-1),
      .products = products.data_ptr<float>()};
  at::parallel_for(0, call.num_panels(), /*grain_size=*/1,
                   [&](int64_t begin, int64_t end) { call.compute(begin, end, *avx2()); });
  if (bias) products.add_(*bias);
  return products.to(input.scalar_type());
}

}  // namespace moebench
