#include "methods/random_linear.h"

#include <array>
#include <cmath>
#include <random>

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

namespace moebench {

at::Generator layer_generator(uint64_t seed, int64_t layer) {
  std::seed_seq sequence{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32), static_cast<uint32_t>(layer)};
  std::array<uint32_t, 2> words;
  sequence.generate(words.begin(), words.end());
  return at::make_generator<at::CPUGeneratorImpl>((uint64_t{words[1]} << 32) | words[0]);
}

at::Tensor default_linear_weight(int64_t out, int64_t in, at::Generator generator, at::ScalarType dtype) {
  const double bound = 1 / std::sqrt(static_cast<double>(in));
  return at::empty({out, in}, at::kFloat).uniform_(-bound, bound, std::move(generator)).to(dtype);
}

}  // namespace moebench
