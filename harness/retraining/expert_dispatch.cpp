#include "harness/retraining/expert_dispatch.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

namespace moebench {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// More would be computed in vain, less would leave more sizes.
constexpr int64_t kBlock = 64;

// For indices that mean no row.
at::Tensor with_zero_row(const at::Tensor& rows) {
  return at::cat({rows, at::zeros({1, rows.size(1)}, rows.options())});
}

at::Tensor gather(const at::Tensor& rows, const at::Tensor& indices) {
  return with_zero_row(rows).index_select(0, indices);
}

// By gathering, too: index_add takes its rows one after another.
at::Tensor add_up(const at::Tensor& outputs_PD, const at::Tensor& places_TK) {
  const at::Tensor table = with_zero_row(outputs_PD);
  at::Tensor sum_TD = table.index_select(0, places_TK.select(1, 0));
  for (int64_t place = 1; place < places_TK.size(1); ++place) {
    sum_TD.add_(table.index_select(0, places_TK.select(1, place)));
  }
  return sum_TD;
}

struct ToVisits : torch::autograd::Function<ToVisits> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& hidden, const at::Tensor& tokens,
                            const at::Tensor& places) {
    context->save_for_backward({places});
    return gather(hidden, tokens);
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    return {add_up(gradients[0], context->get_saved_variables()[0]), at::Tensor(), at::Tensor()};
  }
};

struct SumOfVisits : torch::autograd::Function<SumOfVisits> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& outputs, const at::Tensor& tokens,
                            const at::Tensor& places) {
    context->save_for_backward({tokens});
    return add_up(outputs, places);
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    return {gather(gradients[0], context->get_saved_variables()[0]), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

ExpertDispatch dispatch(const Routing& routing, int64_t num_experts) {
  const at::Tensor& experts_TK = routing.experts;
  at::Tensor keys = experts_TK.flatten();
  if (routing.visited.defined()) keys = keys.masked_fill(routing.visited.flatten().logical_not(), num_experts);
  const auto [sorted_keys, order] = keys.sort(/*stable=*/true, 0, /*descending=*/false);
  const at::Tensor counts = at::bincount(keys, /*weights=*/{}, num_experts + 1).narrow(0, 0, num_experts);
  const at::Tensor padded = (counts + kBlock - 1).div(kBlock, "floor") * kBlock;
  const int64_t num_visits = counts.sum().item<int64_t>(), num_rows = padded.sum().item<int64_t>();
  // How far padding before an expert moves its visits.
  const at::Tensor shift = (padded - counts).cumsum(0) - (padded - counts);
  const at::Tensor rows =
      at::arange(num_visits, keys.options()) + shift.index_select(0, sorted_keys.narrow(0, 0, num_visits));

  ExpertDispatch result;
  const at::Tensor visits = order.narrow(0, 0, num_visits);
  result.visits = at::zeros({num_rows}, keys.options()).scatter_(0, rows, visits);
  result.tokens = at::full({num_rows}, experts_TK.size(0), keys.options())
                      .scatter_(0, rows, visits.div(experts_TK.size(1), "floor"));
  result.places = at::full(keys.sizes(), num_rows, keys.options()).scatter_(0, visits, rows).view(experts_TK.sizes());
  const int64_t* data = padded.const_data_ptr<int64_t>();
  result.counts.assign(data, data + num_experts);
  return result;
}

at::Tensor to_visits(const ExpertDispatch& dispatch, const at::Tensor& hidden) {
  return ToVisits::apply(hidden, dispatch.tokens, dispatch.places);
}

at::Tensor sum_of_visits(const ExpertDispatch& dispatch, const at::Tensor& outputs) {
  return SumOfVisits::apply(outputs, dispatch.tokens, dispatch.places);
}

}  // namespace moebench
