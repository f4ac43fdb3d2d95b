#include "methods/balanced_assignment.h"

#include <stdexcept>
#include <utility>

#include <lemon/network_simplex.h>
#include <lemon/static_graph.h>

namespace moebench {
namespace {

using Solver = lemon::NetworkSimplex<lemon::StaticDigraph, int64_t, int64_t>;

// Items are nodes 0 to num_items - 1, clusters follow; the arc of an item to a cluster has the index of its cost.
lemon::StaticDigraph bipartite_graph(int num_items, int num_clusters) {
  std::vector<std::pair<int, int>> arcs;
  arcs.reserve(static_cast<size_t>(num_items) * num_clusters);
  for (int item = 0; item < num_items; ++item) {
    for (int cluster = 0; cluster < num_clusters; ++cluster) arcs.emplace_back(item, num_items + cluster);
  }
  lemon::StaticDigraph graph;
  graph.build(num_items + num_clusters, arcs.begin(), arcs.end());
  return graph;
}

}  // namespace

void check_assignment(std::span<const int64_t> costs, int64_t num_clusters) {
  if (num_clusters < 1 || costs.size() % num_clusters != 0 || costs.size() / num_clusters % num_clusters != 0) {
    throw std::invalid_argument("balanced assignment: " + std::to_string(costs.size()) + " costs do not share out to " +
                                std::to_string(num_clusters) + " clusters evenly");
  }
}

std::vector<int64_t> balanced_assignment(std::span<const int64_t> costs, int64_t num_clusters) {
  check_assignment(costs, num_clusters);
  const int num_items = static_cast<int>(costs.size() / num_clusters);
  const lemon::StaticDigraph graph = bipartite_graph(num_items, static_cast<int>(num_clusters));
  lemon::StaticDigraph::ArcMap<int64_t> cost_of(graph);
  for (int arc = 0; arc < graph.arcNum(); ++arc) cost_of[graph.arc(arc)] = costs[arc];
  lemon::StaticDigraph::NodeMap<int64_t> supply(graph, 1);
  for (int cluster = 0; cluster < num_clusters; ++cluster) {
    supply[graph.node(num_items + cluster)] = -num_items / num_clusters;
  }

  Solver solver(graph);
  if (solver.costMap(cost_of).supplyMap(supply).run() != Solver::OPTIMAL) {
    throw std::logic_error("balanced assignment: the transportation problem has no optimum");
  }
  std::vector<int64_t> assigned(num_items);
  for (int arc = 0; arc < graph.arcNum(); ++arc) {
    if (solver.flow(graph.arc(arc)) > 0) assigned[arc / num_clusters] = arc % num_clusters;
  }
  return assigned;
}

}  // namespace moebench
