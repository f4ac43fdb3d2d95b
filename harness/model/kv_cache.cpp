#include "harness/model/kv_cache.h"

#include <algorithm>

#include <ATen/ATen.h>

namespace moebench {
namespace {

// Writes rows behind the first `length` rows of buffer, which is replaced by a larger one when they do not fit.
at::Tensor append_rows(at::Tensor& buffer, int64_t length, const at::Tensor& rows) {
  const int64_t new_length = length + rows.size(2);
  if (!buffer.defined() || buffer.size(2) < new_length) {
    const int64_t capacity = std::max<int64_t>({new_length, 2 * length, 64});
    at::Tensor larger = at::empty({rows.size(0), rows.size(1), capacity, rows.size(3)}, rows.options());
    if (length > 0) larger.narrow(2, 0, length).copy_(buffer.narrow(2, 0, length));
    buffer = larger;
  }
  buffer.narrow(2, length, rows.size(2)).copy_(rows);
  return buffer.narrow(2, 0, new_length);
}

}  // namespace

void KvCache::truncate(int64_t length) {
  TORCH_CHECK(0 <= length && length <= length_, "cannot truncate a cache of ", length_, " tokens to ", length);
  length_ = length;
}

std::pair<at::Tensor, at::Tensor> KvCache::append(int64_t layer, const at::Tensor& keys, const at::Tensor& values) {
  TORCH_CHECK(layer < static_cast<int64_t>(keys_.size()), "the cache has ", keys_.size(), " layers, not layer ", layer);
  TORCH_CHECK(length_ == 0 || keys_[layer].size(0) == keys.size(0), "the cache holds a batch of ", keys_[layer].size(0),
              ", not ", keys.size(0));
  if (length_ == 0 && keys_[layer].defined() && keys_[layer].size(0) != keys.size(0)) {
    keys_[layer].reset();
    values_[layer].reset();
  }
  return {append_rows(keys_[layer], length_, keys), append_rows(values_[layer], length_, values)};
}

}  // namespace moebench
