#include "harness/model/low_rank_update.h"

#include <ATen/ATen.h>

namespace moebench {

at::Tensor updated(const at::Tensor& weight, const std::optional<LowRankUpdate>& update) {
  if (!update) return weight;
  const at::Tensor a = update->a.to(weight.device(), at::kFloat);
  const at::Tensor b = update->b.to(weight.device(), at::kFloat);
  return at::addmm(weight.to(at::kFloat), b, a).to(weight.scalar_type());
}

}  // namespace moebench
