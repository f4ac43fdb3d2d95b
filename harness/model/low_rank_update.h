// What low-rank retraining (LoRA, arXiv 2106.09685) adds to a weight.
#pragma once

#include <optional>

#include <ATen/core/Tensor.h>

namespace moebench {

// b a, with LoRA's scale alpha / rank already in b.
struct LowRankUpdate {
  at::Tensor a;  // [rank, in]
  at::Tensor b;  // [out, rank]
};

// weight + b a, computed in fp32, in weight's dtype and on its device; weight itself without an update.
at::Tensor updated(const at::Tensor& weight, const std::optional<LowRankUpdate>& update);

}  // namespace moebench
