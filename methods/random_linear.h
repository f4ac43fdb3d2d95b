// What an untrained linear map starts from.
#pragma once

#include <cstdint>

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

namespace moebench {

// One for each layer of a run; neighbouring seeds and layers give unrelated numbers.
at::Generator layer_generator(uint64_t seed, int64_t layer);

// torch.nn.Linear's initialisation without bias, uniform within 1 / sqrt(in): [out, in].
at::Tensor default_linear_weight(int64_t out, int64_t in, at::Generator generator, at::ScalarType dtype);

}  // namespace moebench
