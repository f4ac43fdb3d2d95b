#include "methods/coactivation_graph.h"

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <string>

#include <ATen/ATen.h>
#include <metis.h>

namespace moebench {
namespace {

static_assert(sizeof(idx_t) == sizeof(int32_t), "NeuronGraph has METIS's index type");

// The value below which this share of the numbers lie, between two of them by linear interpolation (numpy.percentile).
double percentile(const at::Tensor& numbers, double share) {
  const double position = share * static_cast<double>(numbers.numel() - 1);
  const auto below = static_cast<int64_t>(position);
  const auto number = [&](int64_t rank) { return std::get<0>(numbers.kthvalue(rank + 1)).item<double>(); };
  const double low = number(below);
  const double rest = position - static_cast<double>(below);
  return rest == 0 ? low : low + rest * (number(below + 1) - low);
}

double first_decile(const at::Tensor& sums) {
  const at::Tensor numbers = sums.flatten();
  for (int64_t tenths = 1; tenths <= 10; ++tenths) {
    const double decile = percentile(numbers, static_cast<double>(tenths) / 10);
    if (decile > 0) return decile;
  }
  throw std::invalid_argument("co-activation graph: no two neurons were active together; calibrate on more text");
}

// [num_nodes, num_parts]: summed weight of each node's edges into each part.
std::vector<int64_t> weights_into_parts(const NeuronGraph& graph, const std::vector<int64_t>& parts,
                                        int64_t num_parts) {
  std::vector<int64_t> sums(graph.num_nodes() * num_parts);
  for (int64_t node = 0; node < graph.num_nodes(); ++node) {
    for (int32_t entry = graph.offsets[node]; entry < graph.offsets[node + 1]; ++entry) {
      sums[node * num_parts + parts[graph.neighbours[entry]]] += graph.weights[entry];
    }
  }
  return sums;
}

struct Move {
  int64_t node = -1, part = -1, added = std::numeric_limits<int64_t>::max();
};

// Of all moves from a part that is too large to one that is too small, the one that adds least to the cut.
Move cheapest_move(const std::vector<int64_t>& parts, const std::vector<int64_t>& sizes,
                   const std::vector<int64_t>& into_parts, int64_t size) {
  const int64_t num_parts = std::ssize(sizes);
  Move cheapest;
  for (int64_t node = 0; node < std::ssize(parts); ++node) {
    if (sizes[parts[node]] <= size) continue;
    for (int64_t part = 0; part < num_parts; ++part) {
      if (sizes[part] >= size) continue;
      const int64_t added = into_parts[node * num_parts + parts[node]] - into_parts[node * num_parts + part];
      if (added < cheapest.added) cheapest = {node, part, added};
    }
  }
  return cheapest;
}

void even_out(const NeuronGraph& graph, std::vector<int64_t>& parts, int64_t num_parts) {
  std::vector<int64_t> sizes(num_parts);
  for (const int64_t part : parts) ++sizes[part];
  std::vector<int64_t> into_parts = weights_into_parts(graph, parts, num_parts);
  while (true) {
    const Move move = cheapest_move(parts, sizes, into_parts, graph.num_nodes() / num_parts);
    if (move.node < 0) return;
    const int64_t from = parts[move.node];
    for (int32_t entry = graph.offsets[move.node]; entry < graph.offsets[move.node + 1]; ++entry) {
      int64_t* row = into_parts.data() + graph.neighbours[entry] * num_parts;
      row[from] -= graph.weights[entry];
      row[move.part] += graph.weights[entry];
    }
    parts[move.node] = move.part;
    --sizes[from];
    ++sizes[move.part];
  }
}

std::vector<int64_t> metis_parts(NeuronGraph graph, int64_t num_parts, uint64_t seed) {
  idx_t num_nodes = static_cast<idx_t>(graph.num_nodes()), num_constraints = 1, cut = 0;
  idx_t wanted = static_cast<idx_t>(num_parts);
  idx_t options[METIS_NOPTIONS];
  METIS_SetDefaultOptions(options);
  options[METIS_OPTION_SEED] = static_cast<idx_t>(seed & 0x7fffffff);
  std::vector<idx_t> parts(num_nodes);
  if (METIS_PartGraphKway(&num_nodes, &num_constraints, graph.offsets.data(), graph.neighbours.data(), nullptr, nullptr,
                          graph.weights.data(), &wanted, nullptr, nullptr, options, &cut, parts.data()) != METIS_OK) {
    throw std::runtime_error("co-activation graph: METIS could not cut it into " + std::to_string(num_parts) +
                             " parts");
  }
  return {parts.begin(), parts.end()};
}

}  // namespace

Coactivation::Coactivation(int64_t num_neurons, double limit)
    : limit_(limit), sums_(at::zeros({num_neurons, num_neurons}, at::kFloat)) {}

void Coactivation::observe(const at::Tensor& features) {
  const at::Tensor rows = features.to(at::kFloat);
  sums_ += rows.t().matmul(rows).clamp_max_(limit_).to(at::kCPU);
}

NeuronGraph Coactivation::graph() const {
  // METIS adds the weights up in 32 bits.
  const double least_unit = sums_.sum(at::kDouble).item<double>() / std::numeric_limits<int32_t>::max();
  const at::Tensor units = (sums_ / std::max(0.99 * first_decile(sums_), least_unit)).trunc();
  const at::Tensor upper = units.triu(1);
  const at::Tensor weights = (upper + upper.t()).to(at::kInt);
  const at::Tensor edges = weights.nonzero();  // rows in order
  const at::Tensor degrees = weights.ne(0).sum(1, false, at::kInt);
  const auto to_vector = [](const at::Tensor& numbers) {
    const at::Tensor flat = numbers.to(at::kInt).contiguous();
    return std::vector<int32_t>(flat.const_data_ptr<int32_t>(), flat.const_data_ptr<int32_t>() + flat.numel());
  };
  return {.offsets = to_vector(at::cat({at::zeros({1}, at::kLong), degrees.cumsum(0)})),
          .neighbours = to_vector(edges.select(1, 1)),
          .weights = to_vector(weights.masked_select(weights.ne(0)))};
}

std::vector<int64_t> balanced_cut(const NeuronGraph& graph, int64_t num_parts, uint64_t seed) {
  if (num_parts < 1 || graph.num_nodes() % num_parts != 0) {
    throw std::invalid_argument("co-activation graph: " + std::to_string(graph.num_nodes()) +
                                " neurons do not share out to " + std::to_string(num_parts) + " experts evenly");
  }
  if (num_parts == 1) return std::vector<int64_t>(graph.num_nodes());  // METIS 5.1 divides by the parts' logarithm
  std::vector<int64_t> parts = metis_parts(graph, num_parts, seed);
  even_out(graph, parts, num_parts);
  return parts;
}

int64_t cut_weight(const NeuronGraph& graph, const std::vector<int64_t>& parts) {
  int64_t cut = 0;
  for (int64_t node = 0; node < graph.num_nodes(); ++node) {
    for (int32_t entry = graph.offsets[node]; entry < graph.offsets[node + 1]; ++entry) {
      if (parts[node] != parts[graph.neighbours[entry]]) cut += graph.weights[entry];
    }
  }
  return cut / 2;
}

}  // namespace moebench
