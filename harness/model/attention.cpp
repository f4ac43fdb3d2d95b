#include "harness/model/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/ThreadLocalState.h>

#include "harness/model/projection.h"

namespace moebench {
namespace {

// Queries for which scores or a mask are held at a time, so that a long text does not need S x S of them.
constexpr int64_t kBlock = 128;

// The keys that queries [first, first + count) see between them. Positions in the text.
struct KeyRange {
  int64_t first = 0, count = 0;
};

KeyRange visible_keys(int64_t first, int64_t count, int64_t window) {
  const int64_t first_key = first >= window ? first - window + 1 : 0;
  return {first_key, first + count - first_key};
}

// [count, keys.count]: 0 where the query sees the key, -infinity where it does not.
at::Tensor mask_for(int64_t first, int64_t count, const KeyRange& keys, int64_t window, const at::Tensor& like) {
  const auto positions = at::TensorOptions().dtype(at::kLong).device(like.device());
  const at::Tensor query = at::arange(first, first + count, positions).unsqueeze(1);
  const at::Tensor key = at::arange(keys.first, keys.first + keys.count, positions).unsqueeze(0);
  const at::Tensor hidden = (key > query).logical_or(key <= query - window);
  return at::zeros(hidden.sizes(), like.options()).masked_fill_(hidden, -std::numeric_limits<double>::infinity());
}

at::Tensor library_attention(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values,
                             const std::optional<at::Tensor>& mask, bool is_causal) {
  const bool grouped = queries.size(1) != keys.size(1);
  return at::scaled_dot_product_attention(queries, keys, values, mask, /*dropout_p=*/0, is_causal,
                                          /*scale=*/std::nullopt, /*enable_gqa=*/grouped);
}

// Block by block with an explicit mask: a window, or queries that continue a text.
at::Tensor masked_attention(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values,
                            int64_t window) {
  const int64_t num_queries = queries.size(2);
  const int64_t offset = keys.size(2) - num_queries;
  std::vector<at::Tensor> outputs;
  for (int64_t start = 0; start < num_queries; start += kBlock) {
    const int64_t count = std::min(kBlock, num_queries - start);
    const KeyRange range = visible_keys(offset + start, count, window);
    std::optional<at::Tensor> mask;
    if (count > 1) mask = mask_for(offset + start, count, range, window, queries);
    outputs.push_back(library_attention(queries.narrow(2, start, count), keys.narrow(2, range.first, range.count),
                                        values.narrow(2, range.first, range.count), mask, /*is_causal=*/false));
  }
  return at::cat(outputs, 2);
}

// One block of the G query heads that share a key/value head, with the products left to project(). queries, already
// scaled: [G, count, head_dim]; keys: [S, head_dim]; values, transposed: [head_dim, S]. The first query stands at
// `first`.
at::Tensor attend_block(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values, int64_t first,
                        int64_t window) {
  const int64_t num_heads = queries.size(0), count = queries.size(1), head_dim = queries.size(2);
  const KeyRange range = visible_keys(first, count, window);
  const at::Tensor scores =
      project(queries.reshape({num_heads * count, head_dim}), keys.narrow(0, range.first, range.count))
          .view({num_heads, count, range.count});
  // Keys before the block's own are hidden from a query only by a window.
  const int64_t unmasked = window < first + count ? 0 : range.count - count;
  const KeyRange masked = {range.first + unmasked, range.count - unmasked};
  scores.narrow(2, unmasked, masked.count).add_(mask_for(first, count, masked, window, scores));
  const at::Tensor weights = at::softmax(scores, -1).view({num_heads * count, range.count});
  return project(weights, values.narrow(1, range.first, range.count)).view({num_heads, count, head_dim});
}

// The same through project(), which is where that is faster than the library's attention: that computes its products in
// MKL. Threads take whole blocks, so that they need not wait for one another after each step of every block.
at::Tensor projected_attention(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values,
                               int64_t window) {
  const int64_t batch = queries.size(0), num_groups = keys.size(1), num_queries = queries.size(2);
  const int64_t heads_per_group = queries.size(1) / num_groups, offset = keys.size(2) - num_queries;
  const int64_t num_blocks = (num_queries + kBlock - 1) / kBlock;
  const at::Tensor scaled = queries * (1 / std::sqrt(static_cast<double>(queries.size(3))));
  const at::Tensor transposed_values = values.transpose(2, 3).contiguous();
  at::Tensor output = at::empty(queries.sizes(), queries.options());
  const auto attend = [&](int64_t task) {
    const int64_t row = task / num_blocks / num_groups, group = task / num_blocks % num_groups;
    // Later blocks see more keys: taken alternately from both ends, every thread's share costs the same.
    const int64_t place = task % num_blocks;
    const int64_t block = place % 2 == 0 ? place / 2 : num_blocks - 1 - place / 2;
    const int64_t start = block * kBlock, count = std::min(kBlock, num_queries - start);
    const auto part = [&](const at::Tensor& heads) {
      return heads[row].narrow(0, group * heads_per_group, heads_per_group).narrow(1, start, count);
    };
    part(output).copy_(
        attend_block(part(scaled), keys[row][group], transposed_values[row][group], offset + start, window));
  };
  const at::ThreadLocalState caller;  // inference mode is each thread's own
  at::parallel_for(0, batch * num_groups * num_blocks, /*grain_size=*/1, [&](int64_t begin, int64_t end) {
    const at::ThreadLocalStateGuard as_caller(caller);
    for (int64_t task = begin; task < end; ++task) attend(task);
  });
  return output;
}

}  // namespace

at::Tensor causal_attention(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values,
                            std::optional<int64_t> sliding_window) {
  const int64_t num_queries = queries.size(2);
  const int64_t window = sliding_window.value_or(std::numeric_limits<int64_t>::max());
  if (num_queries >= kBlock) {
    // In fp32 whatever the dtype: the library's attention in bf16 takes longer, for it leaves bf16 to MKL as well.
    const at::Tensor exact = queries.to(at::kFloat);
    if (projects_with_onednn(exact, keys)) {
      return projected_attention(exact, keys.to(at::kFloat), values.to(at::kFloat), window).to(queries.scalar_type());
    }
  }
  if (keys.size(2) == num_queries && num_queries <= window) {
    return library_attention(queries, keys, values, {}, /*is_causal=*/true);
  }
  return masked_attention(queries, keys, values, window);
}

}  // namespace moebench
