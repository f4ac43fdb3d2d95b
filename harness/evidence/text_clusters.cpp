#include "harness/evidence/text_clusters.h"

#include <stdexcept>
#include <string>

#include <ATen/ATen.h>

#include "harness/model/llama.h"

namespace moebench {
namespace {

// N windows, W tokens of each, D hidden_size, C clusters.

constexpr int64_t kIterations = 100;  // Lloyd's; labels of so few points settle in about ten

std::vector<at::Tensor> domains_as_clusters(const CalibrationText& text, int64_t num_clusters) {
  std::vector<std::vector<at::Tensor>> members(num_clusters);
  for (size_t domain = 0; domain < text.windows.size(); ++domain) {
    members[domain % num_clusters].push_back(text.windows[domain]);
  }
  std::vector<at::Tensor> clusters;
  for (const std::vector<at::Tensor>& windows : members) clusters.push_back(at::cat(windows));
  return clusters;
}

// At least num_clusters windows, by cutting if need be.
at::Tensor enough_windows(const at::Tensor& windows, int64_t num_clusters) {
  const int64_t num_windows = windows.size(0), window = windows.size(1);
  const int64_t pieces = (num_clusters + num_windows - 1) / num_windows;
  const int64_t piece = window / pieces;
  if (piece < 2) {
    throw std::invalid_argument("calibration text of " + std::to_string(num_windows) + " windows of " +
                                std::to_string(window) + " tokens is too little for " + std::to_string(num_clusters) +
                                " clusters; give more or longer windows");
  }
  return windows.narrow(1, 0, pieces * piece).reshape({num_windows * pieces, piece});
}

// [N, D] fp32, of length 1.
at::Tensor mean_embeddings(const Checkpoint& checkpoint, const at::Tensor& windows) {
  const at::Tensor means = embed(checkpoint, windows, {}).mean(1);
  return means / means.norm(2, {1}, /*keepdim=*/true).clamp_min(1e-12);
}

// [N, C]
at::Tensor distances(const at::Tensor& points, const at::Tensor& centroids) {
  constexpr int64_t kWithoutProducts = 2;  // exact where points are equal
  return at::cdist(points, centroids, 2, kWithoutProducts);
}

// A random point, then always the point farthest from those chosen.
at::Tensor spread_centroids(const at::Tensor& points, int64_t num_clusters, uint64_t seed) {
  const at::Generator generator = at::detail::createCPUGenerator(seed);
  at::Tensor chosen = at::randint(points.size(0), {1}, generator, at::kLong);
  while (chosen.size(0) < num_clusters) {
    const at::Tensor nearest = distances(points, points.index_select(0, chosen)).amin(1);
    chosen = at::cat({chosen, nearest.argmax(0, /*keepdim=*/true)});
  }
  return points.index_select(0, chosen);
}

// An empty cluster gets, of the largest one, the point farthest from its centroid. (Equal windows make such clusters.)
void fill_empty_clusters(at::Tensor& labels, const at::Tensor& to_centroids) {
  const int64_t num_clusters = to_centroids.size(1);
  for (int64_t cluster = 0; cluster < num_clusters; ++cluster) {
    const at::Tensor sizes = at::bincount(labels, {}, num_clusters);
    if (sizes[cluster].item<int64_t>() > 0) continue;
    const int64_t largest = sizes.argmax().item<int64_t>();
    const at::Tensor elsewhere = labels.ne(largest);
    labels[to_centroids.select(1, largest).masked_fill(elsewhere, -1).argmax()] = cluster;
  }
}

// [N] int64.
at::Tensor k_means_labels(const at::Tensor& points, int64_t num_clusters, uint64_t seed) {
  at::Tensor centroids = spread_centroids(points, num_clusters, seed), labels;
  for (int64_t iteration = 0; iteration < kIterations; ++iteration) {
    const at::Tensor to_centroids = distances(points, centroids);
    at::Tensor next = to_centroids.argmin(1);
    fill_empty_clusters(next, to_centroids);
    if (labels.defined() && next.equal(labels)) break;
    labels = next;
    const at::Tensor sizes = at::bincount(labels, {}, num_clusters).unsqueeze(1);
    centroids = at::zeros_like(centroids).index_add(0, labels, points) / sizes;
  }
  return labels;
}

}  // namespace

std::vector<at::Tensor> cluster_text(const Checkpoint& checkpoint, const CalibrationText& text, int64_t num_clusters,
                                     uint64_t seed) {
  if (static_cast<int64_t>(text.windows.size()) >= num_clusters) return domains_as_clusters(text, num_clusters);
  const at::Tensor windows = enough_windows(at::cat(text.windows), num_clusters);
  const at::Tensor labels = k_means_labels(mean_embeddings(checkpoint, windows), num_clusters, seed);
  std::vector<at::Tensor> clusters;
  for (int64_t cluster = 0; cluster < num_clusters; ++cluster) {
    clusters.push_back(windows.index_select(0, labels.eq(cluster).nonzero().squeeze(1)));
  }
  return clusters;
}

}  // namespace moebench
