#include "harness/lm_eval/metrics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <span>
#include <stdexcept>
#include <string_view>

#include "harness/lm_eval/python_string.h"
#include "harness/text/unicode.h"

namespace moebench {
namespace {

using nlohmann::ordered_json;

struct KnownMetric {
  OutputType output_type;
  std::string_view name;
  Aggregation aggregation;
  bool higher_is_better;
  bool by_default;
};

// In the order of lm-eval's result_dict.
constexpr auto kKnownMetrics = std::to_array<KnownMetric>({
    {OutputType::kMultipleChoice, "acc", Aggregation::kMean, true, true},
    {OutputType::kMultipleChoice, "f1", Aggregation::kF1, true, false},
    {OutputType::kMultipleChoice, "mcc", Aggregation::kMatthewsCorrelation, true, false},
    {OutputType::kMultipleChoice, "acc_norm", Aggregation::kMean, true, true},
    {OutputType::kMultipleChoice, "acc_bytes", Aggregation::kMean, true, false},
    {OutputType::kMultipleChoice, "exact_match", Aggregation::kMean, true, false},
    {OutputType::kLoglikelihood, "perplexity", Aggregation::kPerplexity, false, true},
    {OutputType::kLoglikelihood, "acc", Aggregation::kMean, true, true},
    {OutputType::kLoglikelihoodRolling, "word_perplexity", Aggregation::kWeightedPerplexity, false, true},
    {OutputType::kLoglikelihoodRolling, "byte_perplexity", Aggregation::kWeightedPerplexity, false, true},
    {OutputType::kLoglikelihoodRolling, "bits_per_byte", Aggregation::kBitsPerByte, false, true},
    {OutputType::kGenerateUntil, "exact_match", Aggregation::kMean, true, true},
});

constexpr auto kAggregationNames = std::to_array<std::pair<std::string_view, Aggregation>>({
    {"mean", Aggregation::kMean},
    {"perplexity", Aggregation::kPerplexity},
    {"weighted_perplexity", Aggregation::kWeightedPerplexity},
    {"bits_per_byte", Aggregation::kBitsPerByte},
    {"f1", Aggregation::kF1},
    {"matthews_corrcoef", Aggregation::kMatthewsCorrelation},
});

void check_aggregation(const KnownMetric& known, const std::string& aggregation) {
  for (const auto& [name, value] : kAggregationNames) {
    if (aggregation == name && value == known.aggregation) return;
  }
  throw std::invalid_argument("metric '" + std::string(known.name) + "': aggregation '" + aggregation +
                              "' is not supported with it; leave it out");
}

TaskMetric parse_metric(const KnownMetric& known, const ordered_json& entry) {
  TaskMetric metric{std::string(known.name), known.aggregation, known.higher_is_better, {}};
  const bool matches_texts = known.output_type == OutputType::kGenerateUntil;
  for (const auto& [key, value] : entry.items()) {
    if (key == "metric") continue;
    if (key == "aggregation") {
      check_aggregation(known, value.get<std::string>());
    } else if (key == "higher_is_better") {
      metric.higher_is_better = value.get<bool>();
    } else if (matches_texts && key == "regexes_to_ignore") {
      for (const ordered_json& pattern : value) {
        metric.exact_match.regexes_to_ignore.emplace_back(pattern.get<std::string>());
      }
    } else if (matches_texts && key == "ignore_case") {
      metric.exact_match.ignore_case = value.get<bool>();
    } else if (matches_texts && key == "ignore_punctuation") {
      metric.exact_match.ignore_punctuation = value.get<bool>();
    } else if (matches_texts && key == "ignore_numbers") {
      metric.exact_match.ignore_numbers = value.get<bool>();
    } else {
      throw std::invalid_argument("metric '" + metric.name + "': setting '" + key + "' is not supported");
    }
  }
  return metric;
}

void check_known(const ordered_json& metric_list, OutputType output_type) {
  for (const ordered_json& entry : metric_list) {
    const std::string name = entry.at("metric").get<std::string>();
    std::string names;
    bool known = false;
    for (const KnownMetric& metric : kKnownMetrics) {
      if (metric.output_type != output_type) continue;
      known |= metric.name == name;
      names += (names.empty() ? "" : ", ") + std::string(metric.name);
    }
    if (!known) {
      throw std::invalid_argument("metric '" + name + "' is not known for this output_type; known are " + names);
    }
  }
}

// numpy.argmax: the first of equals; the first NaN beats all.
size_t first_largest(std::span<const double> values) {
  size_t largest = 0;
  for (size_t place = 1; place < values.size() && !std::isnan(values[largest]); ++place) {
    if (values[place] > values[largest] || std::isnan(values[place])) largest = place;
  }
  return largest;
}

size_t chosen(const EvaluatedDocument& document, const std::vector<Response>& responses,
              const std::function<double(const std::string&)>& length) {
  if (responses.size() != document.choices.size()) {
    throw std::logic_error("a multiple-choice document needs one response a choice");
  }
  std::vector<double> scores;
  for (size_t choice = 0; choice < responses.size(); ++choice) {
    scores.push_back(responses[choice].loglikelihood / length(document.choices[choice]));
  }
  return first_largest(scores);
}

DocumentValue choice_value(const TaskMetric& metric, const EvaluatedDocument& document,
                           const std::vector<Response>& responses) {
  const auto is_gold = [&](size_t choice) { return static_cast<int64_t>(choice) == document.gold; };
  const auto one = [](const std::string&) { return 1.0; };
  const auto characters = [](const std::string& text) { return static_cast<double>(count_characters(text)); };
  const auto bytes = [](const std::string& text) { return static_cast<double>(text.size()); };
  if (metric.name == "acc") return {.value = is_gold(chosen(document, responses, one)) ? 1.0 : 0.0};
  if (metric.name == "acc_norm") return {.value = is_gold(chosen(document, responses, characters)) ? 1.0 : 0.0};
  if (metric.name == "acc_bytes") return {.value = is_gold(chosen(document, responses, bytes)) ? 1.0 : 0.0};
  if (metric.name == "exact_match") {
    return {.value = document.gold >= 0 && responses.at(static_cast<size_t>(document.gold)).is_greedy ? 1.0 : 0.0};
  }
  return {.value = static_cast<double>(document.gold), .second = static_cast<double>(chosen(document, responses, one))};
}

DocumentValue rolling_value(const TaskMetric& metric, const Response& response, const std::string& counted_text) {
  static const PythonRegex spaces("\\s+");
  // re.split yields a piece before and after each run, empty ones at the edges included.
  const size_t count = metric.name == "word_perplexity" ? spaces.count_matches(counted_text) + 1 : counted_text.size();
  return {.value = response.loglikelihood, .second = static_cast<double>(count)};
}

bool is_punctuation(char byte) {
  return std::string_view("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~").find(byte) != std::string_view::npos;
}

std::string normalised(std::string text, const ExactMatchRules& rules) {
  for (const PythonRegex& regex : rules.regexes_to_ignore) text = regex.remove_all(text);
  if (rules.ignore_case) text = lower(text);
  if (rules.ignore_punctuation) std::erase_if(text, is_punctuation);
  if (rules.ignore_numbers) std::erase_if(text, [](char byte) { return byte >= '0' && byte <= '9'; });
  return text;
}

}  // namespace

std::vector<TaskMetric> parse_metrics(const ordered_json& metric_list, OutputType output_type) {
  std::vector<TaskMetric> metrics;
  try {
    check_known(metric_list, output_type);
    for (const KnownMetric& known : kKnownMetrics) {
      if (known.output_type != output_type) continue;
      if (metric_list.is_null() && known.by_default) metrics.push_back(parse_metric(known, ordered_json::object()));
      for (const ordered_json& entry : metric_list) {
        if (entry.at("metric") == known.name) metrics.push_back(parse_metric(known, entry));
      }
    }
  } catch (const ordered_json::exception& error) {
    throw std::invalid_argument(std::string("metric_list: ") + error.what());
  }
  return metrics;
}

std::vector<DocumentValue> document_values(const std::vector<TaskMetric>& metrics, OutputType output_type,
                                           const EvaluatedDocument& document, const std::vector<Response>& responses,
                                           const std::string& counted_text) {
  std::vector<DocumentValue> values;
  for (const TaskMetric& metric : metrics) {
    switch (output_type) {
      case OutputType::kMultipleChoice:
        values.push_back(choice_value(metric, document, responses));
        break;
      case OutputType::kLoglikelihood:
        values.push_back({.value = metric.name == "acc" ? static_cast<double>(responses.at(0).is_greedy)
                                                        : responses.at(0).loglikelihood});
        break;
      case OutputType::kLoglikelihoodRolling:
        values.push_back(rolling_value(metric, responses.at(0), counted_text));
        break;
      case OutputType::kGenerateUntil:
        values.push_back({.value = normalised(responses.at(0).text, metric.exact_match) ==
                                           normalised(document.target, metric.exact_match)
                                       ? 1.0
                                       : 0.0});
        break;
    }
  }
  return values;
}

ordered_json sample_value(const TaskMetric& metric, OutputType output_type, const DocumentValue& value) {
  const auto second = static_cast<int64_t>(value.second);
  if (output_type == OutputType::kLoglikelihoodRolling) return ordered_json::array({value.value, second});
  if (metric.aggregation == Aggregation::kF1 || metric.aggregation == Aggregation::kMatthewsCorrelation) {
    return ordered_json::array({static_cast<int64_t>(value.value), second});
  }
  const bool is_flag = (output_type == OutputType::kLoglikelihood && metric.name == "acc") ||
                       (output_type == OutputType::kMultipleChoice && metric.name == "exact_match");
  return is_flag ? ordered_json(static_cast<int64_t>(value.value)) : ordered_json(value.value);
}

}  // namespace moebench
