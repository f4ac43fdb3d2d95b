#include "harness/model/attention.h"

#include <algorithm>
#include <limits>
#include <vector>

#include <ATen/ATen.h>

#include "harness/model/linear.h"

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
  const at::ScalarType dtype = product_dtype(queries.scalar_type(), queries.device());
  return at::scaled_dot_product_attention(queries.to(dtype), keys.to(dtype), values.to(dtype),
                                          mask ? std::optional(mask->to(dtype)) : std::nullopt, /*dropout_p=*/0,
                                          is_causal, /*scale=*/std::nullopt, /*enable_gqa=*/grouped)
      .to(queries.scalar_type());
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

}  // namespace

at::Tensor causal_attention(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values,
                            std::optional<int64_t> sliding_window) {
  const int64_t num_queries = queries.size(2);
  const int64_t window = sliding_window.value_or(std::numeric_limits<int64_t>::max());
  if (keys.size(2) == num_queries && num_queries <= window) {
    return library_attention(queries, keys, values, {}, /*is_causal=*/true);
  }
  return masked_attention(queries, keys, values, window);
}

}  // namespace moebench
