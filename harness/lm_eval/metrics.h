// What a document's answers are worth: lm-eval's metrics, document by document (ConfigurableTask.process_results).
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "harness/lm_eval/evaluated_document.h"
#include "harness/lm_eval/python_regex.h"

namespace moebench {

// How the documents' values become the task's.
enum class Aggregation { kMean, kPerplexity, kWeightedPerplexity, kBitsPerByte, kF1, kMatthewsCorrelation };

// Applied to prediction and target alike, in this order.
struct ExactMatchRules {
  std::vector<PythonRegex> regexes_to_ignore;
  bool ignore_case = false, ignore_punctuation = false, ignore_numbers = false;
};

struct TaskMetric {
  std::string name;
  Aggregation aggregation = Aggregation::kMean;
  bool higher_is_better = true;
  ExactMatchRules exact_match;  // generation
};

// A task's metric_list, [{"metric", "aggregation", "higher_is_better", ...}], in the order in which lm-eval reports
// them; null: its defaults for the output type. Known are, for multiple choice: acc, f1, mcc, acc_norm, acc_bytes,
// exact_match; log-likelihood: perplexity, acc; rolling: word_perplexity, byte_perplexity, bits_per_byte; generation:
// exact_match. Throws std::invalid_argument naming the metric and what of it is not supported.
std::vector<TaskMetric> parse_metrics(const nlohmann::ordered_json& metric_list, OutputType output_type);

// One document's part in a metric. Alone in `value`: a score or a log-likelihood. Weighted perplexities: a
// log-likelihood and its number of words or bytes. f1, mcc: the right choice's place and the chosen one's.
struct DocumentValue {
  double value = 0, second = 0;
};

// responses: one an instance; a generated text is the filtered one. counted_text: what a rolling document's words and
// bytes are counted in (WikiText's raw page), for other types unused. Returns one value a metric.
std::vector<DocumentValue> document_values(const std::vector<TaskMetric>& metrics, OutputType output_type,
                                           const EvaluatedDocument& document, const std::vector<Response>& responses,
                                           const std::string& counted_text);

// As lm-eval's samples file spells it: integers where it has them, pairs as lists.
nlohmann::ordered_json sample_value(const TaskMetric& metric, OutputType output_type, const DocumentValue& value);

}  // namespace moebench
