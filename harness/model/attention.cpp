#include "harness/model/attention.h"

#include <algorithm>
#include <limits>
#include <vector>

#include <ATen/ATen.h>

namespace moebench {
namespace {

// Rows of an explicit mask are made for so many queries at a time, so that a long text does not need S x S of it.
constexpr int64_t kMaskedQueries = 512;

// [num_queries, num_keys] bool: which keys a query sees. Key j stands at first_key + j.
at::Tensor visibility(int64_t first_query, int64_t num_queries, int64_t first_key, int64_t num_keys, int64_t window,
                      at::Device device) {
  const auto positions = at::TensorOptions().dtype(at::kLong).device(device);
  const at::Tensor query = at::arange(first_query, first_query + num_queries, positions).unsqueeze(1);
  const at::Tensor key = at::arange(first_key, first_key + num_keys, positions).unsqueeze(0);
  return (key <= query).logical_and(key > query - window);
}

at::Tensor attend(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values,
                  const std::optional<at::Tensor>& mask, bool is_causal) {
  const bool grouped = queries.size(1) != keys.size(1);
  return at::scaled_dot_product_attention(queries, keys, values, mask, /*dropout_p=*/0, is_causal,
                                          /*scale=*/std::nullopt, /*enable_gqa=*/grouped);
}

}  // namespace

at::Tensor causal_attention(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values,
                            std::optional<int64_t> sliding_window) {
  const int64_t num_queries = queries.size(2);
  const int64_t first_query = keys.size(2) - num_queries;
  const int64_t window = sliding_window.value_or(std::numeric_limits<int64_t>::max());
  if (first_query == 0 && num_queries <= window) return attend(queries, keys, values, {}, /*is_causal=*/true);

  std::vector<at::Tensor> outputs;
  for (int64_t start = 0; start < num_queries; start += kMaskedQueries) {
    const int64_t count = std::min(kMaskedQueries, num_queries - start);
    const int64_t first = first_query + start;
    const int64_t first_key = first >= window ? first - window + 1 : 0;
    const int64_t num_keys = first + count - first_key;
    std::optional<at::Tensor> mask;
    if (count > 1) mask = visibility(first, count, first_key, num_keys, window, queries.device());
    outputs.push_back(attend(queries.narrow(2, start, count), keys.narrow(2, first_key, num_keys),
                             values.narrow(2, first_key, num_keys), mask, /*is_causal=*/false));
  }
  return at::cat(outputs, 2);
}

}  // namespace moebench
