#include "methods/domain_affinity.h"

#include <algorithm>
#include <limits>

#include <ATen/ATen.h>

namespace moebench {
namespace {

using Cluster = std::vector<int64_t>;

double distance_between(const at::Tensor& distances, const Cluster& a, const Cluster& b, Linkage linkage) {
  const at::Tensor pairs =
      distances.index_select(0, at::tensor(a, at::kLong)).index_select(1, at::tensor(b, at::kLong));
  switch (linkage) {
    case Linkage::kAverage:
      return pairs.mean().item<double>();
    case Linkage::kComplete:
      return pairs.max().item<double>();
    case Linkage::kSingle:
      return pairs.min().item<double>();
  }
  TORCH_CHECK(false, "unknown linkage");
}

void merge_nearest(std::vector<Cluster>& clusters, const at::Tensor& distances, Linkage linkage) {
  double nearest = std::numeric_limits<double>::infinity();
  size_t first = 0, second = 1;
  for (size_t a = 0; a < clusters.size(); ++a) {
    for (size_t b = a + 1; b < clusters.size(); ++b) {
      const double distance = distance_between(distances, clusters[a], clusters[b], linkage);
      if (distance >= nearest) continue;
      nearest = distance;
      first = a;
      second = b;
    }
  }
  Cluster& merged = clusters[first];
  merged.insert(merged.end(), clusters[second].begin(), clusters[second].end());
  std::sort(merged.begin(), merged.end());
  clusters.erase(clusters.begin() + static_cast<int64_t>(second));
}

}  // namespace

at::Tensor normalised_perplexities(const at::Tensor& perplexities) {
  return perplexities.amin({0}, true) / perplexities;
}

at::Tensor domain_distances(const at::Tensor& features, DomainDistance distance) {
  if (distance == DomainDistance::kEuclidean) return at::cdist(features, features);
  return 1 - at::corrcoef(features);
}

std::vector<std::vector<int64_t>> cluster_domains(const at::Tensor& distances, int64_t num_clusters, Linkage linkage) {
  std::vector<Cluster> clusters;
  for (int64_t domain = 0; domain < distances.size(0); ++domain) clusters.push_back({domain});
  TORCH_CHECK(num_clusters >= 1 && num_clusters <= distances.size(0), distances.size(0), " domains do not make ",
              num_clusters, " clusters");
  while (static_cast<int64_t>(clusters.size()) > num_clusters) merge_nearest(clusters, distances, linkage);
  return clusters;
}

}  // namespace moebench
