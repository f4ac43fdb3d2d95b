#include "tasks/nll_average.h"

#include <cmath>

namespace moebench {
namespace {

// weights sum to one. The domains are given, not drawn: their errors alone make up the average's, independently.
NllAverage weighted_average(const std::vector<NllAverage>& domains, const std::vector<double>& weights) {
  NllAverage average;
  double variance = 0;
  bool has_error = true;
  for (size_t domain = 0; domain < domains.size(); ++domain) {
    average.nll += weights[domain] * domains[domain].nll;
    average.tokens += domains[domain].tokens;
    has_error = has_error && domains[domain].standard_error.has_value();
    const double error = weights[domain] * domains[domain].standard_error.value_or(0);
    variance += error * error;
  }
  if (has_error) average.standard_error = std::sqrt(variance);
  return average;
}

}  // namespace

NllAverage average_over_windows(std::span<const Item> windows) {
  double nll = 0;
  NllAverage average;
  for (const Item& window : windows) {
    nll += window.nll;
    average.tokens += window.tokens;
  }
  const auto tokens = static_cast<double>(average.tokens);
  average.nll = nll / tokens;
  const auto n = static_cast<double>(windows.size());
  if (windows.size() < 2) return average;
  double squares = 0;
  for (const Item& window : windows) {
    const double deviation = window.nll - average.nll * static_cast<double>(window.tokens);
    squares += deviation * deviation;
  }
  average.standard_error = std::sqrt(n / (n - 1) * squares) / tokens;
  return average;
}

NllAverage token_weighted_average(const std::vector<NllAverage>& domains) {
  double tokens = 0;
  for (const NllAverage& domain : domains) tokens += static_cast<double>(domain.tokens);
  std::vector<double> weights;
  for (const NllAverage& domain : domains) weights.push_back(static_cast<double>(domain.tokens) / tokens);
  return weighted_average(domains, weights);
}

NllAverage macro_average(const std::vector<NllAverage>& domains) {
  return weighted_average(domains, std::vector<double>(domains.size(), 1 / static_cast<double>(domains.size())));
}

}  // namespace moebench
