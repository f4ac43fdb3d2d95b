#include "methods/marker_clusters.h"

#include <cmath>
#include <limits>

#include "methods/balanced_assignment.h"
#include "methods/jonker_volgenant.h"

namespace moebench {
namespace {

int64_t cost_of_difference(int64_t differing_tokens, MarkerDistance distance) {
  if (distance == MarkerDistance::kL1) return differing_tokens;
  return std::llround(std::sqrt(static_cast<double>(differing_tokens)) * (int64_t{1} << 20));
}

}  // namespace

std::vector<int64_t> marker_distances(const MarkerMatrix& markers, std::span<const int64_t> neurons,
                                      std::span<const int64_t> seeds, MarkerDistance distance) {
  std::vector<int64_t> distances(neurons.size() * seeds.size());
  std::vector<bool> marked_by_seed(markers.num_tokens());
  for (size_t seed = 0; seed < seeds.size(); ++seed) {
    marked_by_seed.assign(markers.num_tokens(), false);
    for (const int32_t token : markers.tokens(seeds[seed])) marked_by_seed[token] = true;
    for (size_t row = 0; row < neurons.size(); ++row) {
      int64_t both = 0;
      for (const int32_t token : markers.tokens(neurons[row])) both += marked_by_seed[token];
      const int64_t differing = markers.count(neurons[row]) + markers.count(seeds[seed]) - 2 * both;
      distances[row * seeds.size() + seed] = cost_of_difference(differing, distance);
    }
  }
  return distances;
}

std::vector<std::vector<int64_t>> cluster_by_markers(const MarkerMatrix& markers, std::span<const int64_t> neurons,
                                                     std::span<const int64_t> seeds, MarkerDistance distance,
                                                     ClusterAssignment assignment) {
  const int64_t num_clusters = static_cast<int64_t>(seeds.size());
  const std::vector<int64_t> distances = marker_distances(markers, neurons, seeds, distance);
  const auto assign = assignment == ClusterAssignment::kLapjv ? jonker_volgenant_assignment : balanced_assignment;
  const std::vector<int64_t> assigned = assign(distances, num_clusters);
  std::vector<std::vector<int64_t>> clusters(num_clusters);
  for (size_t row = 0; row < neurons.size(); ++row) clusters[assigned[row]].push_back(neurons[row]);
  return clusters;
}

int64_t representative(const MarkerMatrix& markers, std::span<const int64_t> cluster) {
  std::vector<int64_t> marked(markers.num_tokens());  // neurons of the cluster that the token marks
  for (const int64_t neuron : cluster) {
    for (const int32_t token : markers.tokens(neuron)) ++marked[token];
  }
  // With mean p and m neurons, L1 = sum_t p_t + sum over the neuron's tokens of (1 - 2 p_t); times m it is whole, and
  // the first sum is the same for all.
  const int64_t num_neurons = static_cast<int64_t>(cluster.size());
  int64_t nearest = cluster.front();
  int64_t least = std::numeric_limits<int64_t>::max();
  for (const int64_t neuron : cluster) {
    int64_t distance = 0;
    for (const int32_t token : markers.tokens(neuron)) distance += num_neurons - 2 * marked[token];
    if (distance < least) {
      least = distance;
      nearest = neuron;
    }
  }
  return nearest;
}

}  // namespace moebench
