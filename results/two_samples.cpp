#include "results/two_samples.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include <boost/math/distributions/normal.hpp>

#include "results/resampling.h"

namespace moebench {
namespace {

constexpr size_t kLargestExactSample = 50;

struct RankedPool {
  double u = 0;
  double tie_sum = 0;  // of t^3 - t over groups of t equal values
};

RankedPool rank_pool(const std::vector<double>& base, const std::vector<double>& candidate) {
  std::vector<std::pair<double, bool>> pool;  // value, of the candidate
  for (const double value : base) pool.emplace_back(value, false);
  for (const double value : candidate) pool.emplace_back(value, true);
  std::sort(pool.begin(), pool.end());
  RankedPool ranked;
  double base_below = 0;
  for (size_t begin = 0; begin < pool.size();) {
    size_t end = begin;
    double of_base = 0;
    for (; end < pool.size() && pool[end].first == pool[begin].first; ++end) of_base += pool[end].second ? 0 : 1;
    const auto equal = static_cast<double>(end - begin);
    ranked.u += (equal - of_base) * (base_below + of_base / 2);
    ranked.tie_sum += equal * equal * equal - equal;
    base_below += of_base;
    begin = end;
  }
  return ranked;
}

// How likely each u from 0 to n m is where all orders are: the recursion on whose value is the largest, in shares
// rather than counts, which would overflow.
std::vector<double> exact_distribution(size_t num_base, size_t num_candidate) {
  // shares[m][u] for the current number of base values and m of the candidate.
  std::vector<std::vector<double>> shares(num_candidate + 1, std::vector<double>(num_base * num_candidate + 1, 0));
  for (size_t m = 0; m <= num_candidate; ++m) shares[m][0] = 1;
  for (size_t n = 1; n <= num_base; ++n) {
    for (size_t m = 1; m <= num_candidate; ++m) {
      const double base_is_largest = static_cast<double>(n) / static_cast<double>(n + m);
      for (size_t u = n * m + 1; u-- > 0;) {
        const double below = u >= n ? shares[m - 1][u - n] : 0;
        shares[m][u] = base_is_largest * shares[m][u] + (1 - base_is_largest) * below;
      }
    }
  }
  return shares[num_candidate];
}

double exact_p_value(double u, size_t num_base, size_t num_candidate) {
  const std::vector<double> shares = exact_distribution(num_base, num_candidate);
  const auto pairs = static_cast<double>(num_base * num_candidate);
  const auto first = static_cast<size_t>(std::max(u, pairs - u));
  double tail = 0;
  for (size_t value = shares.size(); value-- > first;) tail += shares[value];
  return std::min(1.0, 2 * tail);
}

double normal_p_value(const RankedPool& ranked, size_t num_base, size_t num_candidate) {
  const auto n = static_cast<double>(num_base), m = static_cast<double>(num_candidate), all = n + m;
  const double variance = n * m / 12 * (all + 1 - ranked.tie_sum / (all * (all - 1)));
  if (variance <= 0) return 1;
  const double z = std::max(0.0, std::abs(ranked.u - n * m / 2) - 0.5) / std::sqrt(variance);
  return 2 * boost::math::cdf(boost::math::complement(boost::math::normal(), z));
}

template <class Condition>
void check_samples(const std::vector<double>& base, const std::vector<double>& candidate, const char* what,
                   const Condition& is_fit) {
  for (const std::vector<double>* sample : {&base, &candidate}) {
    if (sample->empty()) throw std::invalid_argument(std::string(what) + ": a sample is empty");
    if (!std::all_of(sample->begin(), sample->end(), is_fit)) {
      throw std::invalid_argument(std::string(what) + ": a value is not a number that it can be of");
    }
  }
}

double resampled_median(const std::vector<double>& sample, std::mt19937_64& random, std::vector<double>& drawn) {
  drawn.resize(sample.size());
  for (double& value : drawn) value = sample[random_place(random, sample.size())];
  return median(drawn);
}

}  // namespace

RankTest mann_whitney(const std::vector<double>& base, const std::vector<double>& candidate) {
  check_samples(base, candidate, "Mann and Whitney's test", [](double value) { return std::isfinite(value); });
  const RankedPool ranked = rank_pool(base, candidate);
  const bool is_exact =
      ranked.tie_sum == 0 && base.size() <= kLargestExactSample && candidate.size() <= kLargestExactSample;
  return {.u = ranked.u,
          .p_value = is_exact ? exact_p_value(ranked.u, base.size(), candidate.size())
                              : normal_p_value(ranked, base.size(), candidate.size()),
          .is_exact = is_exact};
}

MedianRatio median_ratio(const std::vector<double>& base, const std::vector<double>& candidate, uint64_t seed,
                         int64_t num_resamples, double confidence) {
  check_samples(base, candidate, "ratio of medians", [](double value) { return std::isfinite(value) && value > 0; });
  if (num_resamples < 1) throw std::invalid_argument("ratio of medians: needs one resample at least");
  std::mt19937_64 random(seed);
  std::vector<double> drawn, ratios(static_cast<size_t>(num_resamples));
  for (double& ratio : ratios) {
    const double of_base = resampled_median(base, random, drawn);
    ratio = resampled_median(candidate, random, drawn) / of_base;
  }
  std::sort(ratios.begin(), ratios.end());
  return {median(candidate) / median(base),
          {sorted_quantile(ratios, (1 - confidence) / 2), sorted_quantile(ratios, (1 + confidence) / 2)}};
}

}  // namespace moebench
