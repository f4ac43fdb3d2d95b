#include "methods/expert_samples.h"

#include <algorithm>

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

namespace moebench {

std::vector<int64_t> count_samples(const CalibrationText& text, int64_t sample_tokens) {
  std::vector<int64_t> num_samples;
  for (const at::Tensor& windows : text.windows) {
    num_samples.push_back(windows.size(0) * ((windows.size(1) + sample_tokens - 1) / sample_tokens));
  }
  return num_samples;
}

ExpertsOfSample samples_of_clusters(const std::vector<std::vector<int64_t>>& clusters,
                                    const std::vector<int64_t>& num_samples) {
  std::vector<int64_t> expert_of_domain(num_samples.size());
  for (size_t expert = 0; expert < clusters.size(); ++expert) {
    for (const int64_t domain : clusters[expert]) expert_of_domain[domain] = static_cast<int64_t>(expert);
  }
  ExpertsOfSample experts;
  for (size_t domain = 0; domain < num_samples.size(); ++domain) {
    experts.insert(experts.end(), num_samples[domain], {expert_of_domain[domain]});
  }
  return experts;
}

ExpertsOfSample random_mixtures(int64_t num_samples, int64_t num_experts, int64_t fewest, uint64_t seed) {
  const int64_t num_drawn = std::min(num_samples, std::max(num_samples / num_experts, fewest));
  ExpertsOfSample experts(num_samples);
  const at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(seed);
  for (int64_t expert = 0; expert < num_experts; ++expert) {
    const at::Tensor order = at::randperm(num_samples, generator, at::TensorOptions(at::kLong));
    const int64_t* samples = order.const_data_ptr<int64_t>();
    for (int64_t drawn = 0; drawn < num_drawn; ++drawn) experts[samples[drawn]].push_back(expert);
  }
  return experts;
}

}  // namespace moebench
