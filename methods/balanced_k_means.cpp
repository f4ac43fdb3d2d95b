#include "methods/balanced_k_means.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>

#include "methods/balanced_assignment.h"

namespace moebench {
namespace {

constexpr double kCostRange = 0x1p32;

at::Tensor unit_rows(const at::Tensor& rows) { return rows / rows.norm(2, {1}, /*keepdim=*/true).clamp_min(1e-12); }

// [N, K]; for kCosine points and centroids are of unit length, and half the squared distance is 1 - cosine.
at::Tensor distances(const at::Tensor& points, const at::Tensor& centroids, KMeansMetric metric) {
  if (metric == KMeansMetric::kCosine) return 1 - points.matmul(centroids.t());
  const at::Tensor squares = centroids.square().sum(1) + points.square().sum(1, /*keepdim=*/true);
  return at::addmm(squares, points, centroids.t(), /*beta=*/1, /*alpha=*/-2);
}

// [N] int64. Of a point's distances only the differences matter, so its least one becomes 0.
at::Tensor assign(const at::Tensor& distances) {
  const at::Tensor excess = (distances - distances.amin(1, /*keepdim=*/true)).to(at::kDouble);
  const double largest = excess.max().item<double>();
  const at::Tensor costs = (excess * (largest > 0 ? kCostRange / largest : 0)).round().to(at::kLong).contiguous();
  const std::span all(costs.const_data_ptr<int64_t>(), static_cast<size_t>(costs.numel()));
  return at::tensor(balanced_assignment(all, costs.size(1)), at::kLong);
}

at::Tensor centroids_of(const at::Tensor& points, const at::Tensor& labels, int64_t num_clusters, KMeansMetric metric) {
  const at::Tensor by_cluster = points.index_select(0, labels.argsort(/*stable=*/true, /*dim=*/0));
  const at::Tensor means = by_cluster.view({num_clusters, -1, points.size(1)}).mean(1);
  return metric == KMeansMetric::kCosine ? unit_rows(means) : means;
}

double inertia_of(const at::Tensor& points, const at::Tensor& centroids, const at::Tensor& labels,
                  KMeansMetric metric) {
  const at::Tensor own = centroids.index_select(0, labels);
  if (metric == KMeansMetric::kCosine) return (1 - (points * own).sum(1)).sum(at::kDouble).item<double>();
  return (points - own).square().sum(at::kDouble).item<double>();
}

// k-means++ as scikit-learn has it: each next centroid is a point, drawn by its distance to the nearest one so far; of
// 2 + ln K such draws the one that leaves the least summed distance.
at::Tensor spread_centroids(const at::Tensor& points, int64_t num_clusters, KMeansMetric metric,
                            const at::Generator& generator) {
  const auto num_draws = static_cast<int64_t>(2 + std::log(static_cast<double>(num_clusters)));
  const at::Tensor first = points.index_select(0, at::randint(points.size(0), {1}, generator, at::kLong));
  std::vector<at::Tensor> centroids = {first};
  at::Tensor nearest = distances(points, first, metric).clamp_min(0);  // [N, 1]
  while (static_cast<int64_t>(centroids.size()) < num_clusters) {
    // Where fewer points differ than there are clusters, any will do.
    const at::Tensor weights = nearest.sum().item<double>() > 0 ? nearest : at::ones_like(nearest);
    const at::Tensor drawn = weights.squeeze(1).multinomial(num_draws, /*replacement=*/true, generator);
    const at::Tensor candidates = points.index_select(0, drawn);
    const at::Tensor then_nearest = nearest.minimum(distances(points, candidates, metric).clamp_min(0));
    const int64_t best = then_nearest.sum(0).argmin().item<int64_t>();
    centroids.push_back(candidates.narrow(0, best, 1));
    nearest = then_nearest.narrow(1, best, 1);
  }
  return at::cat(centroids);
}

BalancedClusters iterate(const at::Tensor& points, at::Tensor centroids, const BalancedKMeansOptions& options) {
  at::Tensor labels;
  for (int64_t iteration = 0; iteration < options.max_iterations; ++iteration) {
    const at::Tensor assigned = assign(distances(points, centroids, options.metric));
    if (labels.defined() && assigned.equal(labels)) break;
    labels = assigned;
    centroids = centroids_of(points, labels, options.num_clusters, options.metric);
  }
  return {labels, centroids, inertia_of(points, centroids, labels, options.metric)};
}

void check(const at::Tensor& points, const BalancedKMeansOptions& options) {
  const int64_t num_clusters = options.num_clusters;
  if (options.num_restarts < 1 || options.max_iterations < 1) {
    throw std::invalid_argument("balanced k-means: restarts and iterations must be at least 1");
  }
  if (num_clusters < 1 || points.size(0) < 1 || points.size(0) % num_clusters != 0) {
    throw std::invalid_argument("balanced k-means: " + std::to_string(points.size(0)) + " points do not share out to " +
                                std::to_string(num_clusters) + " clusters evenly");
  }
}

}  // namespace

BalancedClusters balanced_k_means(const at::Tensor& points, const BalancedKMeansOptions& options) {
  check(points, options);
  const bool cosine = options.metric == KMeansMetric::kCosine;
  const at::Tensor rows = cosine ? unit_rows(points.to(at::kFloat)) : points.to(at::kFloat);
  if (options.initial_centroids) {
    const at::Tensor centroids = options.initial_centroids->to(at::kFloat);
    return iterate(rows, cosine ? unit_rows(centroids) : centroids, options);
  }
  const at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(options.seed);
  std::vector<at::Tensor> starts;
  for (int64_t restart = 0; restart < options.num_restarts; ++restart) {
    starts.push_back(spread_centroids(rows, options.num_clusters, options.metric, generator));
  }
  std::vector<BalancedClusters> ends(starts.size());
  at::parallel_for(0, options.num_restarts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t restart = begin; restart < end; ++restart) ends[restart] = iterate(rows, starts[restart], options);
  });
  return *std::ranges::min_element(ends, {}, &BalancedClusters::inertia);
}

}  // namespace moebench
