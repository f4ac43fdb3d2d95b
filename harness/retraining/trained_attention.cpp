#include "harness/retraining/trained_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/ThreadLocalState.h>
#include <torch/csrc/autograd/custom_function.h>

#include "harness/model/attention.h"

namespace moebench {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kQueriesAtATime = 128;  // queries whose weights are held at a time

// All of one text and one key/value head, fp32. T tokens, G query heads that share it.
struct HeadGroup {
  at::Tensor queries;                       // [G, T, head_dim], scaled
  at::Tensor keys, values;                  // [T, head_dim]
  at::Tensor outputs, output_gradient;      // [G, T, head_dim]
  at::Tensor query_gradient;                // [G, T, head_dim], written
  at::Tensor key_gradient, value_gradient;  // [T, head_dim], added to
};

// [count, keys]: whether query first + row may not see key first_key + column.
at::Tensor hidden_keys(int64_t first, int64_t count, int64_t first_key, int64_t num_keys, int64_t window) {
  const at::Tensor query = at::arange(first, first + count, at::kLong).unsqueeze(1);
  const at::Tensor key = at::arange(first_key, first_key + num_keys, at::kLong).unsqueeze(0);
  return (key > query).logical_or(key <= query - window);
}

// P = softmax(Q K'), O = P V. dV += P' dO; dS = P (dO V' - rowsum(dO O)); dQ = dS K; dK += dS' Q.
void add_block(const HeadGroup& group, int64_t first, int64_t count, int64_t window) {
  const int64_t num_heads = group.queries.size(0), head_dim = group.queries.size(2);
  const int64_t first_key = std::max<int64_t>(0, first - window + 1), num_keys = first + count - first_key;
  const auto rows = [&](const at::Tensor& heads) {
    return heads.narrow(1, first, count).reshape({num_heads * count, head_dim});
  };
  const at::Tensor queries = rows(group.queries), gradient = rows(group.output_gradient);
  const at::Tensor keys = group.keys.narrow(0, first_key, num_keys),
                   values = group.values.narrow(0, first_key, num_keys);

  at::Tensor scores = at::linear(queries, keys).view({num_heads, count, num_keys});
  scores.masked_fill_(hidden_keys(first, count, first_key, num_keys, window), -std::numeric_limits<float>::infinity());
  const at::Tensor weights = at::softmax(scores, -1).view({num_heads * count, num_keys});
  group.value_gradient.narrow(0, first_key, num_keys).add_(at::mm(weights.t(), gradient));

  const at::Tensor along = (gradient * rows(group.outputs)).sum(-1, /*keepdim=*/true);
  const at::Tensor score_gradient = at::linear(gradient, values).sub_(along).mul_(weights);
  group.key_gradient.narrow(0, first_key, num_keys).add_(at::mm(score_gradient.t(), queries));
  const at::Tensor query_gradient = at::mm(score_gradient, keys);
  group.query_gradient.narrow(1, first, count).copy_(query_gradient.view({num_heads, count, head_dim}));
}

struct Attention : torch::autograd::Function<Attention> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& queries, const at::Tensor& keys,
                            const at::Tensor& values, int64_t window) {
    const bool is_windowed = window < queries.size(2);
    const at::Tensor outputs =
        causal_attention(queries, keys, values, is_windowed ? std::optional(window) : std::nullopt);
    context->save_for_backward({queries, keys, values, outputs});
    context->saved_data["window"] = window;
    return outputs;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const int64_t window = context->saved_data["window"].toInt();
    const at::ScalarType dtype = saved[0].scalar_type();
    const double scale = 1 / std::sqrt(static_cast<double>(saved[0].size(3)));
    const at::Tensor queries = saved[0].to(at::kFloat) * scale, keys = saved[1].to(at::kFloat).contiguous();
    const at::Tensor values = saved[2].to(at::kFloat).contiguous(), outputs = saved[3].to(at::kFloat);
    const at::Tensor output_gradient = gradients[0].to(at::kFloat);
    const at::Tensor query_gradient = at::empty(queries.sizes(), queries.options());
    const at::Tensor key_gradient = at::zeros_like(keys), value_gradient = at::zeros_like(values);

    const int64_t num_groups = keys.size(1), heads = queries.size(1) / num_groups, num_tokens = queries.size(2);
    const at::ThreadLocalState caller;  // grad mode is each thread's own
    at::parallel_for(0, queries.size(0) * num_groups, /*grain_size=*/1, [&](int64_t begin, int64_t end) {
      const at::ThreadLocalStateGuard as_caller(caller);
      for (int64_t task = begin; task < end; ++task) {
        const int64_t text = task / num_groups, group = task % num_groups;
        const auto of_group = [&](const at::Tensor& all) { return all[text].narrow(0, group * heads, heads); };
        const HeadGroup part{of_group(queries),         keys[text][group],          values[text][group],
                             of_group(outputs),         of_group(output_gradient),  of_group(query_gradient),
                             key_gradient[text][group], value_gradient[text][group]};
        for (int64_t first = 0; first < num_tokens; first += kQueriesAtATime) {
          add_block(part, first, std::min(kQueriesAtATime, num_tokens - first), window);
        }
      }
    });
    return {(query_gradient * scale).to(dtype), key_gradient.to(dtype), value_gradient.to(dtype), at::Tensor()};
  }
};

}  // namespace

at::Tensor trained_attention(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values,
                             std::optional<int64_t> sliding_window) {
  return Attention::apply(queries, keys, values, sliding_window.value_or(std::numeric_limits<int64_t>::max()));
}

}  // namespace moebench
