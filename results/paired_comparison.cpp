#include "results/paired_comparison.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <numeric>
#include <stdexcept>

#include <boost/math/distributions/binomial.hpp>
#include <boost/math/distributions/normal.hpp>
#include <boost/math/distributions/students_t.hpp>

#include "results/resampling.h"

namespace moebench {
namespace {

struct ClusterSum {
  double sum = 0;  // of differences
  double size = 0;
};

void check_lengths(const PairedScores& scores) {
  const bool clusters_fit = scores.clusters.empty() || scores.clusters.size() == scores.base.size();
  if (scores.base.size() != scores.candidate.size() || !clusters_fit) {
    throw std::invalid_argument("paired comparison: the two models' scores are not of the same items");
  }
}

// In the order in which they first appear.
std::vector<ClusterSum> cluster_sums(const PairedScores& scores) {
  check_lengths(scores);
  std::vector<ClusterSum> sums;
  std::map<std::string, size_t> places;
  for (size_t item = 0; item < scores.base.size(); ++item) {
    const std::string& cluster = scores.clusters.empty() ? std::string() : scores.clusters[item];
    const auto [place, is_new] = places.try_emplace(cluster, sums.size());
    if (is_new || cluster.empty()) sums.emplace_back();
    ClusterSum& sum = cluster.empty() ? sums.back() : sums[place->second];
    sum.sum += scores.candidate[item] - scores.base[item];
    sum.size += 1;
  }
  if (sums.size() < 2) {
    throw std::invalid_argument("paired comparison: needs items of two clusters at least, there are " +
                                std::to_string(sums.size()));
  }
  return sums;
}

double normal_quantile(double probability) { return boost::math::quantile(boost::math::normal(), probability); }

std::vector<size_t> ascending_order(const std::vector<double>& values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t left, size_t right) { return values[left] < values[right]; });
  return order;
}

}  // namespace

PairedDifference paired_difference(const PairedScores& scores, double confidence) {
  const std::vector<ClusterSum> clusters = cluster_sums(scores);
  const auto num_items = static_cast<double>(scores.base.size());
  const auto num_clusters = static_cast<double>(clusters.size());
  PairedDifference difference{.num_items = static_cast<int64_t>(scores.base.size()),
                              .num_clusters = static_cast<int64_t>(clusters.size())};
  for (const ClusterSum& cluster : clusters) difference.mean += cluster.sum / num_items;
  double squares = 0;
  for (const ClusterSum& cluster : clusters) squares += std::pow(cluster.sum - cluster.size * difference.mean, 2);
  const bool single_items = clusters.size() == scores.base.size();
  difference.standard_error =
      single_items ? std::sqrt(squares / (num_items - 1) / num_items) : std::sqrt(squares) / num_items;
  const boost::math::students_t student(num_clusters - 1);
  const double reach = boost::math::quantile(student, (1 + confidence) / 2) * difference.standard_error;
  difference.interval = {difference.mean - reach, difference.mean + reach};
  if (difference.standard_error > 0) {
    const double statistic = std::abs(difference.mean) / difference.standard_error;
    difference.p_value = 2 * boost::math::cdf(boost::math::complement(student, statistic));
  } else if (difference.mean != 0) {
    difference.p_value = 0;
  }
  return difference;
}

Interval bootstrap_interval(const PairedScores& scores, uint64_t seed, int64_t num_resamples, double confidence) {
  if (num_resamples < 1) throw std::invalid_argument("bootstrap: needs one resample at least");
  const std::vector<ClusterSum> clusters = cluster_sums(scores);
  std::mt19937_64 random(seed);
  std::vector<double> means(static_cast<size_t>(num_resamples));
  for (double& mean : means) {
    ClusterSum drawn;
    for (size_t draw = 0; draw < clusters.size(); ++draw) {
      const ClusterSum& cluster = clusters[random_place(random, clusters.size())];
      drawn.sum += cluster.sum;
      drawn.size += cluster.size;
    }
    mean = drawn.sum / drawn.size;
  }
  std::sort(means.begin(), means.end());
  return {sorted_quantile(means, (1 - confidence) / 2), sorted_quantile(means, (1 + confidence) / 2)};
}

McNemarTest mcnemar_test(const PairedScores& scores) {
  check_lengths(scores);
  McNemarTest test;
  for (size_t item = 0; item < scores.base.size(); ++item) {
    const double base = scores.base[item], candidate = scores.candidate[item];
    if ((base != 0 && base != 1) || (candidate != 0 && candidate != 1)) {
      throw std::invalid_argument("McNemar's test needs scores of 0 and 1; item " + std::to_string(item) +
                                  " has another");
    }
    test.fixed += base < candidate;
    test.broken += base > candidate;
  }
  const int64_t changed = test.fixed + test.broken;
  if (changed == 0) return test;
  const boost::math::binomial fair(static_cast<double>(changed), 0.5);
  const auto fewer = static_cast<double>(std::min(test.fixed, test.broken));
  const double tail = boost::math::cdf(fair, fewer), point = boost::math::pdf(fair, fewer);
  test.exact_p = std::min(1.0, 2 * tail);
  test.mid_p = test.fixed == test.broken ? 1 - point / 2 : 2 * tail - point;
  return test;
}

std::vector<double> holm_adjusted(const std::vector<double>& p_values) {
  std::vector<double> adjusted(p_values.size());
  double largest = 0;
  size_t left = p_values.size();
  for (const size_t place : ascending_order(p_values)) {
    largest = std::max(largest, p_values[place] * static_cast<double>(left--));
    adjusted[place] = std::min(1.0, largest);
  }
  return adjusted;
}

std::vector<double> benjamini_hochberg_adjusted(const std::vector<double>& p_values) {
  std::vector<double> adjusted(p_values.size());
  const std::vector<size_t> order = ascending_order(p_values);
  double smallest = 1;
  for (size_t rank = order.size(); rank > 0; --rank) {
    const double scale = static_cast<double>(order.size()) / static_cast<double>(rank);
    smallest = std::min(smallest, p_values[order[rank - 1]] * scale);
    adjusted[order[rank - 1]] = smallest;
  }
  return adjusted;
}

double minimum_detectable_effect(double standard_error, double level, double power) {
  return (normal_quantile(1 - level / 2) + normal_quantile(power)) * standard_error;
}

Interval wilson_interval(int64_t num_right, int64_t num_items, double confidence) {
  if (num_items < 1 || num_right < 0 || num_right > num_items) {
    throw std::invalid_argument("Wilson's interval: " + std::to_string(num_right) + " of " + std::to_string(num_items) +
                                " items is no share");
  }
  const auto count = static_cast<double>(num_items);
  const double share = static_cast<double>(num_right) / count;
  const double z = normal_quantile((1 + confidence) / 2), shrink = 1 + z * z / count;
  const double center = (share + z * z / (2 * count)) / shrink;
  const double reach = z / shrink * std::sqrt(share * (1 - share) / count + z * z / (4 * count * count));
  return {std::max(0.0, center - reach), std::min(1.0, center + reach)};
}

}  // namespace moebench
