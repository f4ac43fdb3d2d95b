// Two models on the same items: how far apart they are, and whether that is more than chance. After Miller 2024 (arXiv
// 2411.00640) for errors, Fagerland, Lydersen and Laake 2013 (BMC Med. Res. Methodol. 13:91) for McNemar's test.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace moebench {

// Scores of the same items in the same order. Items of one source (passage, page, subject) share a cluster; "" is a
// cluster of its own, and no clusters at all mean that for every item.
struct PairedScores {
  std::vector<double> base, candidate;
  std::vector<std::string> clusters;
};

struct Interval {
  double low = 0, high = 0;
};

// candidate - base.
struct PairedDifference {
  int64_t num_items = 0, num_clusters = 0;
  double mean = 0;
  // Of single items sd(d) / sqrt(n), sd with n - 1; where items group sqrt(sum over clusters of (sum of their d_i -
  // mean)^2) / n.
  double standard_error = 0;
  Interval interval;   // mean +- t * standard_error, Student's t with a degree of freedom less than clusters
  double p_value = 1;  // two-sided, of the same t; 1 if all differences are 0
};

// All throw std::invalid_argument for scores of different lengths or fewer than two clusters.
PairedDifference paired_difference(const PairedScores& scores, double confidence = 0.95);

// The percentile interval of the mean difference over resamples of whole clusters (single items: of items). Quantiles
// are interpolated as numpy's. The same seed gives the same interval, anywhere.
Interval bootstrap_interval(const PairedScores& scores, uint64_t seed, int64_t num_resamples = 10000,
                            double confidence = 0.95);

// Of right and wrong items: those that changed decide.
struct McNemarTest {
  int64_t fixed = 0, broken = 0;  // wrong then right, right then wrong
  double exact_p = 1;             // two-sided binomial; the larger of the two
  double mid_p = 1;               // less conservative, with nearly the nominal level
};

// Throws std::invalid_argument for scores other than 0 and 1.
McNemarTest mcnemar_test(const PairedScores& scores);

// Adjusted p-values in the order given. Holm: the chance of one false find among all is below them (for the few
// comparisons decided beforehand). Benjamini and Hochberg: the expected share of false finds (for tables).
std::vector<double> holm_adjusted(const std::vector<double>& p_values);
std::vector<double> benjamini_hochberg_adjusted(const std::vector<double>& p_values);

// The smallest true difference that a two-sided test at this level finds with this chance: (z(1 - level/2) + z(power))
// times the standard error of the difference; sqrt(share of items on which the models disagree / n) if not measured.
double minimum_detectable_effect(double standard_error, double level = 0.05, double power = 0.8);

// Wilson's score interval of a share: for a few hundred items, where mean +- 1.96 standard errors is too narrow.
Interval wilson_interval(int64_t num_right, int64_t num_items, double confidence = 0.95);

}  // namespace moebench
