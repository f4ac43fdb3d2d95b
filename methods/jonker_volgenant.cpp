#include "methods/jonker_volgenant.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "methods/balanced_assignment.h"

namespace moebench {
namespace {

constexpr int64_t kNone = -1;
constexpr int64_t kInfinite = std::numeric_limits<int64_t>::max() / 4;

// Rows are items, columns places in clusters, side by side. Ties decide which optimum is found, so the order of every
// loop and the kind of every comparison are lapjv's.
class SquareAssignment {
 public:
  SquareAssignment(std::span<const int64_t> costs, int64_t num_clusters)
      : costs_(costs),
        num_clusters_(num_clusters),
        size_(static_cast<int64_t>(costs.size()) / num_clusters),
        places_(size_ / num_clusters),
        column_of_(size_, kNone),
        row_of_(size_, kNone),
        prices_(size_, kInfinite),
        columns_(size_),
        distances_(size_),
        predecessors_(size_) {}

  std::vector<int64_t> solve() {
    reduce_columns();
    for (int round = 0; round < 2 && !free_rows_.empty(); ++round) reduce_augmenting_rows();
    for (const int64_t row : free_rows_) augment(row);
    std::vector<int64_t> clusters(size_);
    for (int64_t row = 0; row < size_; ++row) clusters[row] = column_of_[row] / places_;
    return clusters;
  }

 private:
  int64_t reduced_cost(int64_t row, int64_t column) const {
    return costs_[row * num_clusters_ + column / places_] - prices_[column];
  }

  // Every column to its cheapest row, the last column first; rows that got one alone pass the advantage on.
  void reduce_columns() {
    for (int64_t cluster = 0; cluster < num_clusters_; ++cluster) {
      int64_t cheapest = 0;
      for (int64_t row = 1; row < size_; ++row) {
        if (costs_[row * num_clusters_ + cluster] < costs_[cheapest * num_clusters_ + cluster]) cheapest = row;
      }
      for (int64_t column = cluster * places_; column < (cluster + 1) * places_; ++column) {
        prices_[column] = costs_[cheapest * num_clusters_ + cluster];
        row_of_[column] = cheapest;
      }
    }
    std::vector<bool> is_sole(size_, true);
    for (int64_t column = size_; column-- > 0;) {
      int64_t& row = row_of_[column];
      if (column_of_[row] == kNone) {
        column_of_[row] = column;
      } else {
        is_sole[row] = false;
        row = kNone;
      }
    }
    for (int64_t row = 0; row < size_; ++row) {
      const int64_t own = column_of_[row];
      if (own == kNone) {
        free_rows_.push_back(row);
      } else if (is_sole[row]) {
        int64_t least = kInfinite;
        for (int64_t column = 0; column < size_; ++column) {
          if (column != own) least = std::min(least, reduced_cost(row, column));
        }
        prices_[own] -= least;
      }
    }
  }

  // Every free row takes its cheapest column from whoever has it, at a price that leaves the second cheapest no better.
  void reduce_augmenting_rows() {
    const auto num_free = static_cast<int64_t>(free_rows_.size());
    int64_t current = 0, num_left = 0, num_turns = 0;
    while (current < num_free) {
      ++num_turns;
      const int64_t row = free_rows_[current++];
      int64_t first = 0, second = kNone, first_cost = reduced_cost(row, 0), second_cost = kInfinite;
      for (int64_t column = 1; column < size_; ++column) {
        const int64_t cost = reduced_cost(row, column);
        if (cost >= second_cost) continue;
        if (cost >= first_cost) {
          second = column;
          second_cost = cost;
        } else {
          second = std::exchange(first, column);
          second_cost = std::exchange(first_cost, cost);
        }
      }
      const bool gets_dearer = second_cost > first_cost;
      const bool goes_on = num_turns < current * size_;
      if (goes_on && gets_dearer) {
        prices_[first] -= second_cost - first_cost;
      } else if (goes_on && row_of_[first] != kNone && second != kNone) {
        first = second;
      }
      if (const int64_t displaced = row_of_[first]; displaced != kNone) {
        free_rows_[goes_on && gets_dearer ? --current : num_left++] = displaced;
      }
      column_of_[row] = first;
      row_of_[first] = row;
    }
    free_rows_.resize(num_left);
  }

  // Along the shortest path from the row to a column that is free.
  void augment(int64_t free_row) {
    int64_t column = shortest_path(free_row), row = kNone;
    while (row != free_row) {
      row = predecessors_[column];
      row_of_[column] = row;
      std::swap(column, column_of_[row]);
    }
  }

  // Dijkstra's. columns_: those that are done with, [scanned, reached) at the distance that is being scanned, the
  // others.
  int64_t shortest_path(int64_t free_row) {
    std::iota(columns_.begin(), columns_.end(), int64_t{0});
    std::fill(predecessors_.begin(), predecessors_.end(), free_row);
    for (int64_t column = 0; column < size_; ++column) distances_[column] = reduced_cost(free_row, column);
    int64_t scanned = 0, reached = 0, num_done = 0, end = kNone;
    while (end == kNone) {
      if (scanned == reached) {
        num_done = scanned;
        reached = gather_nearest(scanned);
        for (int64_t i = scanned; i < reached; ++i) {
          if (row_of_[columns_[i]] == kNone) end = columns_[i];
        }
      }
      if (end == kNone) end = scan(columns_[scanned++], reached);
    }
    for (int64_t i = 0; i < num_done; ++i) prices_[columns_[i]] += distances_[columns_[i]] - distances_[end];
    return end;
  }

  // Moves the nearest of columns_[first, ...) to its front; returns where they end.
  int64_t gather_nearest(int64_t first) {
    int64_t reached = first + 1, nearest = distances_[columns_[first]];
    for (int64_t i = reached; i < size_; ++i) {
      const int64_t column = columns_[i];
      if (distances_[column] > nearest) continue;
      if (distances_[column] < nearest) {
        reached = first;
        nearest = distances_[column];
      }
      columns_[i] = std::exchange(columns_[reached++], column);
    }
    return reached;
  }

  // What is nearer by way of the column's row; a free column that is no farther, or kNone.
  int64_t scan(int64_t by_way_of, int64_t& reached) {
    const int64_t row = row_of_[by_way_of], distance = distances_[by_way_of];
    const int64_t offset = reduced_cost(row, by_way_of) - distance;
    for (int64_t i = reached; i < size_; ++i) {
      const int64_t column = columns_[i], through = reduced_cost(row, column) - offset;
      if (through >= distances_[column]) continue;
      distances_[column] = through;
      predecessors_[column] = row;
      if (through != distance) continue;
      if (row_of_[column] == kNone) return column;
      columns_[i] = std::exchange(columns_[reached++], column);
    }
    return kNone;
  }

  const std::span<const int64_t> costs_;
  const int64_t num_clusters_, size_, places_;
  std::vector<int64_t> column_of_, row_of_, prices_;  // prices: lapjv's v
  std::vector<int64_t> free_rows_;
  std::vector<int64_t> columns_, distances_, predecessors_;  // of one path
};

}  // namespace

std::vector<int64_t> jonker_volgenant_assignment(std::span<const int64_t> costs, int64_t num_clusters) {
  check_assignment(costs, num_clusters);
  return SquareAssignment(costs, num_clusters).solve();
}

}  // namespace moebench
