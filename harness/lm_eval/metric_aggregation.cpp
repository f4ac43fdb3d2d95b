#include "harness/lm_eval/metric_aggregation.h"

#include <array>
#include <cmath>
#include <numbers>
#include <stdexcept>
#include <vector>

#include "harness/lm_eval/bootstrap.h"

namespace moebench {
namespace {

double mean(std::span<const DocumentValue> values) {
  double sum = 0;
  for (const DocumentValue& item : values) sum += item.value;
  return sum / static_cast<double>(values.size());
}

double weighted_mean(std::span<const DocumentValue> values) {
  double sum = 0, weights = 0;
  for (const DocumentValue& item : values) {
    sum += item.value;
    weights += item.second;
  }
  return sum / weights;
}

// Of class 1, as scikit-learn's f1_score of two classes; it refuses others, too.
double f1(std::span<const DocumentValue> values) {
  double both = 0, gold = 0, predicted = 0;
  for (const DocumentValue& item : values) {
    if ((item.value != 0 && item.value != 1) || (item.second != 0 && item.second != 1)) {
      throw std::invalid_argument("metric 'f1' needs two choices, a document has another right or chosen one");
    }
    both += item.value * item.second;
    gold += item.value;
    predicted += item.second;
  }
  return gold + predicted == 0 ? 0 : 2 * both / (gold + predicted);
}

// Gorodkin's correlation of any number of classes, as scikit-learn's matthews_corrcoef.
double matthews_correlation(std::span<const DocumentValue> values) {
  std::vector<std::array<double, 2>> counts;  // of a class, the one of no choice (-1) first: how often right, chosen
  const auto count = [&](double label, size_t role) {
    const auto index = static_cast<size_t>(label + 1);
    if (index >= counts.size()) counts.resize(index + 1);
    ++counts[index][role];
  };
  double correct = 0;
  const auto total = static_cast<double>(values.size());
  for (const DocumentValue& item : values) {
    count(item.value, 0);
    count(item.second, 1);
    correct += item.value == item.second;
  }
  double both = 0, gold = 0, predicted = 0;
  for (const auto& [right, chosen] : counts) {
    both += right * chosen;
    gold += right * right;
    predicted += chosen * chosen;
  }
  const double spread = (total * total - predicted) * (total * total - gold);
  return spread == 0 ? 0 : (correct * total - both) / std::sqrt(spread);
}

double sample_mean_error(std::span<const DocumentValue> values) {
  const double center = mean(values);
  double squares = 0;
  for (const DocumentValue& item : values) squares += (item.value - center) * (item.value - center);
  const auto count = static_cast<double>(values.size());
  return std::sqrt(squares / (count - 1)) / std::sqrt(count);
}

}  // namespace

double aggregate(Aggregation aggregation, std::span<const DocumentValue> values) {
  switch (aggregation) {
    case Aggregation::kMean:
      return mean(values);
    case Aggregation::kPerplexity:
      return std::exp(-mean(values));
    case Aggregation::kWeightedPerplexity:
      return std::exp(-weighted_mean(values));
    case Aggregation::kBitsPerByte:
      return -weighted_mean(values) / std::numbers::ln2;
    case Aggregation::kF1:
      return f1(values);
    case Aggregation::kMatthewsCorrelation:
      return matthews_correlation(values);
  }
  throw std::logic_error("no such aggregation");
}

std::optional<double> standard_error(Aggregation aggregation, std::span<const DocumentValue> values,
                                     int64_t bootstrap_iterations) {
  const bool weighted = aggregation == Aggregation::kWeightedPerplexity || aggregation == Aggregation::kBitsPerByte;
  if (values.size() < 2 || bootstrap_iterations <= 0 || weighted) return std::nullopt;
  if (aggregation == Aggregation::kMean) return sample_mean_error(values);
  return bootstrap_standard_error(aggregation, values, bootstrap_iterations);
}

GroupValue aggregate_group(std::span<const GroupMember> members, bool weight_by_size) {
  double sum = 0, weights = 0, pooled = 0, squares = 0;
  bool all_have_errors = true;
  const auto count = static_cast<double>(members.size());
  for (const GroupMember& member : members) {
    const auto size = static_cast<double>(member.num_documents);
    const double weight = weight_by_size ? size : 1;
    const double square = member.standard_error.value_or(0) * member.standard_error.value_or(0);
    sum += member.value * weight;
    weights += weight;
    pooled += (size - 1) * square * size;
    squares += square;
    all_have_errors &= member.standard_error.has_value();
  }
  GroupValue group{.value = sum / weights, .standard_error = std::nullopt};
  if (all_have_errors) {
    group.standard_error =
        weight_by_size ? std::sqrt(pooled / (weights - count) / weights) : std::sqrt(squares) / count;
  }
  return group;
}

}  // namespace moebench
