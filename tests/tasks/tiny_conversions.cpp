#include "tests/tasks/tiny_conversions.h"

#include <ATen/ATen.h>

#include "tests/fixtures/tiny_checkpoint.h"

namespace moebench {
namespace {

const int64_t kHiddenSize = TinyCheckpointOptions{}.hidden_size;

ExpertSpec expert(int64_t first, int64_t end) { return {.neurons = at::arange(first, end, at::kLong)}; }

Conversion in_every_layer(const LayerConversion& layer) {
  return {.layers = std::vector<LayerConversion>(static_cast<size_t>(TinyCheckpointOptions{}.num_layers), layer)};
}

RouterSpec linear_router(const at::Tensor& weight, const at::Tensor& bias) {
  return {.kind = RouterKind::kLinear, .tensors = {{"weight", weight}, {"bias", bias}}};
}

LayerConversion one_shared_three_routed(const RouterSpec& router) {
  return {.experts = {expert(24, 48), expert(48, 72), expert(72, 96)},
          .shared = expert(0, 24),
          .router = router,
          .top_k = 2};
}

}  // namespace

Conversion biased_conversion(const std::vector<float>& bias) {
  return in_every_layer(one_shared_three_routed(linear_router(at::zeros({3, kHiddenSize}), at::tensor(bias))));
}

Conversion token_dependent_conversion() {
  return in_every_layer(one_shared_three_routed(linear_router(at::eye(3, kHiddenSize), at::zeros(3))));
}

Conversion unequal_conversion(const std::vector<float>& bias) {
  return in_every_layer({.experts = {expert(0, 10), expert(10, 96)},
                         .router = linear_router(at::zeros({2, kHiddenSize}), at::tensor(bias)),
                         .top_k = 1});
}

Conversion static_conversion(int64_t neurons) {
  return in_every_layer({.shared = expert(0, neurons), .router = {.kind = RouterKind::kStatic}, .top_k = 0});
}

}  // namespace moebench
