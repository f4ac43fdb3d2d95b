// Which domains of text are alike, by how models pruned for one do on another (DIVE's domain affinity mining, arXiv
// 2506.09351; its code is not public, so axis, distance and linkage are choices). N domains.
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

namespace moebench {

// perplexities: [N, N] double; row: the domain that the model was pruned for, column: the one that it read. Each
// column's least over the value, in (0, 1]: 1 is the best that any of the models does on that text.
at::Tensor normalised_perplexities(const at::Tensor& perplexities);

enum class DomainDistance {
  kCorrelation,  // 1 - Pearson's correlation
  kEuclidean,
};

// Between the rows of features [N, M] double: [N, N].
at::Tensor domain_distances(const at::Tensor& features, DomainDistance distance);

enum class Linkage { kAverage, kComplete, kSingle };

// Agglomerative clustering: the two nearest clusters (of equally near ones the first) are merged until num_clusters,
// 1 to N, are left. distances: [N, N] double. Returns the domains of each, ascending, in the order of their first.
std::vector<std::vector<int64_t>> cluster_domains(const at::Tensor& distances, int64_t num_clusters, Linkage linkage);

}  // namespace moebench
