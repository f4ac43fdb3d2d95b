#include "harness/retraining/stacked_product.h"

#include <optional>

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include "harness/model/linear.h"

namespace moebench {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using MaybeTensor = std::optional<at::Tensor>;  // Function takes no undefined tensors

// T tokens, N rows of all blocks, D columns, E blocks, r rank.

// [T, N] → [T, E r]: each block's columns into its rank.
at::Tensor into_ranks(const at::Tensor& blocks_TN, const at::Tensor& left_Nr, at::IntArrayRef widths) {
  const int64_t rank = left_Nr.size(1), num_blocks = static_cast<int64_t>(widths.size());
  if (num_blocks == 1) return at::mm(blocks_TN, left_Nr);
  at::Tensor ranks = at::empty({blocks_TN.size(0), num_blocks * rank}, blocks_TN.options());
  for (int64_t block = 0, first = 0; block < num_blocks; first += widths[block++]) {
    at::Tensor part = ranks.narrow(1, block * rank, rank);
    at::mm_out(part, blocks_TN.narrow(1, first, widths[block]), left_Nr.narrow(0, first, widths[block]));
  }
  return ranks;
}

// Adds to each block's columns, [T, N], scale times what its rank, [T, E r], holds.
void add_from_ranks(at::Tensor& blocks_TN, const at::Tensor& ranks, const at::Tensor& left_Nr, at::IntArrayRef widths,
                    double scale) {
  const int64_t rank = left_Nr.size(1), num_blocks = static_cast<int64_t>(widths.size());
  for (int64_t block = 0, first = 0; block < num_blocks; first += widths[block++]) {
    at::Tensor part = blocks_TN.narrow(1, first, widths[block]);
    part.addmm_(ranks.narrow(1, block * rank, rank), left_Nr.narrow(0, first, widths[block]).t(), 1, scale);
  }
}

// [N, r]: the gradient of left, given both of its sides.
at::Tensor left_gradient(const at::Tensor& blocks_TN, const at::Tensor& ranks, at::IntArrayRef widths, double scale) {
  const int64_t num_blocks = static_cast<int64_t>(widths.size()), rank = ranks.size(1) / num_blocks;
  std::vector<at::Tensor> parts;
  for (int64_t block = 0, first = 0; block < num_blocks; first += widths[block++]) {
    parts.push_back(at::mm(ranks.narrow(1, block * rank, rank).t(), blocks_TN.narrow(1, first, widths[block])).t());
  }
  return (num_blocks == 1 ? parts.front() : at::cat(parts)).mul(scale);
}

at::Tensor masked(const at::Tensor& input, const at::Tensor& mask) { return mask.defined() ? input * mask : input; }

void add_masked(at::Tensor& sum, const at::Tensor& term, const at::Tensor& mask) { sum.add_(masked(term, mask)); }

// The arguments of both directions, by their place; what they save, too. An update brings left and right.
enum Argument { kInput, kWeight, kLeft, kRight, kMask, kRanks };

struct ToBlocks : torch::autograd::Function<ToBlocks> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, const at::Tensor& weight,
                            const MaybeTensor& maybe_left, const MaybeTensor& maybe_right,
                            const MaybeTensor& maybe_mask, std::vector<int64_t> widths, double scale) {
    const at::Tensor left = maybe_left.value_or(at::Tensor()), right = maybe_right.value_or(at::Tensor());
    const at::Tensor mask = maybe_mask.value_or(at::Tensor());
    at::Tensor output_TN = at::linear(input, weight), ranks;
    if (left.defined()) {
      ranks = at::linear(masked(input, mask), right);
      add_from_ranks(output_TN, ranks, left, widths, scale);
    }
    // The input itself is only of use to the gradient of something that it meets.
    const bool needs_input = right.defined() || weight.requires_grad();
    context->save_for_backward({needs_input ? input : at::Tensor(), weight, left, right, mask, ranks});
    context->saved_data["widths"] = widths;
    context->saved_data["scale"] = scale;
    return output_TN;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const at::Tensor gradient_TN = gradients[0].contiguous();
    const variable_list saved = context->get_saved_variables();
    const std::vector<int64_t> widths = context->saved_data["widths"].toIntVector();
    const double scale = context->saved_data["scale"].toDouble();
    variable_list result(7);
    if (context->needs_input_grad(kInput)) result[kInput] = at::mm(gradient_TN, saved[kWeight]);
    if (context->needs_input_grad(kWeight)) result[kWeight] = at::mm(gradient_TN.t(), saved[kInput]);
    if (!saved[kLeft].defined()) return result;
    const at::Tensor ranks = into_ranks(gradient_TN, saved[kLeft], widths).mul_(scale);
    if (context->needs_input_grad(kLeft)) {
      result[kLeft] = left_gradient(gradient_TN, saved[kRanks], widths, scale);
    }
    if (context->needs_input_grad(kRight)) {
      result[kRight] = at::mm(ranks.t(), masked(saved[kInput], saved[kMask]));
    }
    if (context->needs_input_grad(kInput)) {
      add_masked(result[kInput], at::mm(ranks, saved[kRight]), saved[kMask]);
    }
    return result;
  }
};

struct FromBlocks : torch::autograd::Function<FromBlocks> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, const at::Tensor& weight,
                            const MaybeTensor& maybe_left, const MaybeTensor& maybe_right,
                            const MaybeTensor& maybe_mask, std::vector<int64_t> widths, double scale) {
    const at::Tensor left = maybe_left.value_or(at::Tensor()), right = maybe_right.value_or(at::Tensor());
    const at::Tensor mask = maybe_mask.value_or(at::Tensor());
    at::Tensor output_TD = at::mm(input, weight), ranks;
    if (left.defined()) {
      ranks = into_ranks(masked(input, mask), left, widths).mul_(scale);
      output_TD.add_(at::mm(ranks, right));
    }
    const bool needs_input = left.defined() || weight.requires_grad();
    context->save_for_backward({needs_input ? input : at::Tensor(), weight, left, right, mask, ranks});
    context->saved_data["widths"] = widths;
    context->saved_data["scale"] = scale;
    return output_TD;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const at::Tensor gradient_TD = gradients[0].contiguous();
    const variable_list saved = context->get_saved_variables();
    const std::vector<int64_t> widths = context->saved_data["widths"].toIntVector();
    const double scale = context->saved_data["scale"].toDouble();
    variable_list result(7);
    if (context->needs_input_grad(kInput)) result[kInput] = at::linear(gradient_TD, saved[kWeight]);
    if (context->needs_input_grad(kWeight)) result[kWeight] = at::mm(saved[kInput].t(), gradient_TD);
    if (!saved[kLeft].defined()) return result;
    const at::Tensor ranks = at::linear(gradient_TD, saved[kRight]);
    if (context->needs_input_grad(kRight)) result[kRight] = at::mm(saved[kRanks].t(), gradient_TD);
    if (context->needs_input_grad(kLeft)) {
      result[kLeft] = left_gradient(masked(saved[kInput], saved[kMask]), ranks, widths, scale);
    }
    if (context->needs_input_grad(kInput)) add_to_input(result[kInput], ranks, saved, widths, scale);
    return result;
  }

 private:
  static void add_to_input(at::Tensor& gradient_TN, const at::Tensor& ranks, const variable_list& saved,
                           at::IntArrayRef widths, double scale) {
    if (!saved[kMask].defined()) return add_from_ranks(gradient_TN, ranks, saved[kLeft], widths, scale);
    at::Tensor term_TN = at::zeros_like(gradient_TN);
    add_from_ranks(term_TN, ranks, saved[kLeft], widths, scale);
    add_masked(gradient_TN, term_TN, saved[kMask]);
  }
};

template <class Direction>
at::Tensor apply(const StackedFactors& factors, const at::Tensor& input, const at::Tensor& mask) {
  const at::ScalarType dtype = product_dtype(input.scalar_type(), input.device());
  const auto operand = [&](const at::Tensor& tensor) {
    return tensor.defined() ? MaybeTensor(tensor.to(dtype)) : std::nullopt;
  };
  return Direction::apply(input.to(dtype), factors.weight.to(dtype), operand(factors.left), operand(factors.right),
                          operand(mask), factors.widths, factors.scale)
      .to(input.scalar_type());
}

}  // namespace

at::Tensor to_blocks(const StackedFactors& factors, const at::Tensor& input, const at::Tensor& mask) {
  return apply<ToBlocks>(factors, input, mask);
}

at::Tensor from_blocks(const StackedFactors& factors, const at::Tensor& input, const at::Tensor& mask) {
  return apply<FromBlocks>(factors, input, mask);
}

}  // namespace moebench
