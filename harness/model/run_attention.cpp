#include "harness/model/run_attention.h"

#include <algorithm>
#include <cmath>

#include <ATen/ATen.h>

#include "harness/model/linear.h"
#include "harness/model/softmax_rows.h"

namespace moebench {
namespace {

// A product's rows come out the same however many there are, from 16 on; a sum over keys the same with zeros behind it,
// up to 384: MKL's fp32 products on one thread with AVX-512, and our own (linear.h). Tested by tests/scoring.
constexpr int64_t kFewestRows = 16, kKeysAtATime = 256;
constexpr int64_t kQueriesAtATime = 128;

int64_t round_up(int64_t number, int64_t multiple) { return (number + multiple - 1) / multiple * multiple; }

// Of the whole text up to the run's end: [G, S, head_dim], S rounded up, zeros behind.
at::Tensor gather(const TokenRun& run, const at::Tensor& own, const std::vector<at::Tensor> TokenRun::*of_layers,
                  int64_t layer) {
  const int64_t end = run.first_position() + run.num_tokens();
  at::Tensor all = at::zeros({own.size(0), round_up(end, kFewestRows), own.size(2)}, own.options().dtype(at::kFloat));
  all.narrow(1, run.first_position(), run.num_tokens()).copy_(own);
  for (const TokenRun* before = run.before; before != nullptr; before = before->before) {
    all.narrow(1, before->first_position(), before->num_tokens()).copy_((before->*of_layers)[layer]);
  }
  return all;
}

// Rows of several heads that see the same keys: row r is of the query at first_position + r % num_queries.
// queries: [rows, head_dim], scaled; keys, values: [S, head_dim].
at::Tensor attend(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values, int64_t first_position,
                  int64_t num_queries, int64_t window) {
  const int64_t num_keys = round_up(first_position + num_queries, kFewestRows);
  at::Tensor scores = apply_linear(queries, keys.narrow(0, 0, num_keys));
  at::Tensor sums = at::empty({queries.size(0), 1}, scores.options());
  for (int64_t row = 0; row < queries.size(0); ++row) {
    const int64_t position = first_position + row % num_queries;
    sums.data_ptr<float>()[row] = exponentiate_row(scores.data_ptr<float>() + row * num_keys, num_keys,
                                                   std::max<int64_t>(0, position - window + 1), position + 1);
  }
  if (has_row_products(scores, keys))
    return apply_linear(scores, values.narrow(0, 0, num_keys).t().contiguous()).div_(sums);
  at::Tensor outputs;
  for (int64_t key = 0; key < num_keys; key += kKeysAtATime) {
    const int64_t count = std::min(kKeysAtATime, num_keys - key);
    const at::Tensor weights = scores.narrow(1, key, count), part = values.narrow(0, key, count);
    outputs = key == 0 ? at::mm(weights, part) : outputs.addmm_(weights, part);
  }
  return outputs.div_(sums);
}

}  // namespace

at::Tensor run_attention(const TokenRun& run, int64_t layer, const at::Tensor& queries, const at::Tensor& keys,
                         const at::Tensor& values, int64_t window) {
  const int64_t num_tokens = queries.size(0), num_heads = queries.size(1), head_dim = queries.size(2);
  const int64_t num_groups = keys.size(0), heads_per_group = num_heads / num_groups;
  const at::Tensor all_keys = gather(run, keys, &TokenRun::keys, layer);
  const at::Tensor all_values = gather(run, values, &TokenRun::values, layer);
  // [G, H / G, T, head_dim]
  const at::Tensor scaled = (queries.to(at::kFloat) * (1 / std::sqrt(static_cast<double>(head_dim))))
                                .view({num_tokens, num_groups, heads_per_group, head_dim})
                                .permute({1, 2, 0, 3});
  at::Tensor outputs = at::empty({num_tokens, num_heads, head_dim}, scaled.options());
  const at::Tensor by_group = outputs.view({num_tokens, num_groups, heads_per_group, head_dim}).permute({1, 2, 0, 3});
  for (int64_t first = 0; first < num_tokens; first += kQueriesAtATime) {
    const int64_t count = std::min(kQueriesAtATime, num_tokens - first), rows = heads_per_group * count;
    for (int64_t group = 0; group < num_groups; ++group) {
      at::Tensor block = at::zeros({std::max(rows, kFewestRows), head_dim}, scaled.options());
      block.narrow(0, 0, rows).view({heads_per_group, count, head_dim}).copy_(scaled[group].narrow(1, first, count));
      const at::Tensor attended =
          attend(block, all_keys[group], all_values[group], run.first_position() + first, count, window);
      by_group[group]
          .narrow(1, first, count)
          .copy_(attended.narrow(0, 0, rows).view({heads_per_group, count, head_dim}));
    }
  }
  return outputs.to(queries.scalar_type());
}

}  // namespace moebench
