// K-means with clusters of equal size: what experts of one width are cut by. N points, F features, K clusters.
#pragma once

#include <cstdint>
#include <optional>

#include <ATen/core/Tensor.h>

namespace moebench {

enum class KMeansMetric {
  kL2,      // squared Euclidean distance; centroids are means
  kCosine,  // 1 - cosine; centroids are mean directions, of unit length
};

struct BalancedKMeansOptions {
  int64_t num_clusters = 8;  // must divide N
  KMeansMetric metric = KMeansMetric::kL2;
  int64_t num_restarts = 10;     // the least inertia is kept, of equals the first
  int64_t max_iterations = 500;  // of a restart: assignment, then centroids. It ends before where no centroid moves
  uint64_t seed = 0;             // of the k-means++ centroids that restarts begin with
  std::optional<at::Tensor> initial_centroids = std::nullopt;  // [K, F]: begin with these, once, whatever num_restarts
};

struct BalancedClusters {
  at::Tensor labels;     // [N] int64
  at::Tensor centroids;  // [K, F] fp32, of these labels
  double inertia = 0;    // summed distance of the points to their centroids
};

// k-means-constrained's problem (Bradley, Bennett and Demiriz 2000) with size_min = size_max = N / K, as LLaMA-MoE's
// clustering split calls it; every assignment is exact (balanced_assignment) for distances to 32 bits.
// points: [N, F], any float dtype, on the CPU; computed in fp32. Same points and options, same labels.
// Throws std::invalid_argument if the clusters do not divide the points, or for options below 1.
BalancedClusters balanced_k_means(const at::Tensor& points, const BalancedKMeansOptions& options);

}  // namespace moebench
