#include "harness/lm_eval/samples_file.h"

#include "harness/content_hash.h"
#include "harness/lm_eval/filters.h"
#include "harness/lm_eval/python_json.h"

namespace moebench {
namespace {

using nlohmann::ordered_json;

std::string text_hash(const std::string& text) { return content_hash(std::string_view(text)); }

// The arguments of lm-eval's request; its page is a rolling request's only one.
ordered_json arguments(const TaskDefinition& definition, const Instance& instance) {
  switch (definition.output_type) {
    case OutputType::kLoglikelihoodRolling:
      return {{"arg_0", instance.continuation}};
    case OutputType::kGenerateUntil:
      return {{"arg_0", instance.context}, {"arg_1", definition.generation_kwargs}};
    default:
      return {{"arg_0", instance.context}, {"arg_1", instance.continuation}};
  }
}

// Numbers and truth values are written as Python's str() of them.
ordered_json response_text(OutputType output_type, const Response& response) {
  if (output_type == OutputType::kGenerateUntil) return response.text;
  if (output_type == OutputType::kLoglikelihoodRolling) return python_repr(response.loglikelihood);
  return ordered_json::array({python_repr(response.loglikelihood), response.is_greedy ? "True" : "False"});
}

ordered_json sample_head(const TaskDefinition& definition, const EvaluatedDocument& document,
                         const std::vector<Response>& responses) {
  ordered_json all_arguments = ordered_json::object(), all_responses = ordered_json::array();
  for (size_t place = 0; place < responses.size(); ++place) {
    all_arguments["gen_args_" + std::to_string(place)] = arguments(definition, document.request(place));
    all_responses.push_back(ordered_json::array({response_text(definition.output_type, responses[place])}));
  }
  return {{"doc_id", document.doc_id},
          {"doc", document.doc},
          {"target", document.target},
          {"arguments", std::move(all_arguments)},
          {"resps", std::move(all_responses)}};
}

std::string prompt(OutputType output_type, const EvaluatedDocument& document) {
  const Instance instance = document.request(0);
  return output_type == OutputType::kLoglikelihoodRolling ? instance.continuation : instance.context;
}

ordered_json sample(const TaskDefinition& definition, const EvaluatedDocument& document,
                    const std::vector<Response>& responses, const ResponseFilter& filter, const TaskScore& score,
                    size_t place) {
  ordered_json sample = sample_head(definition, document, responses);
  ordered_json& filtered = sample["filtered_resps"] = ordered_json::array();
  for (Response response : responses) {
    response.text = filter.apply(response.text);
    filtered.push_back(response_text(definition.output_type, response));
  }
  sample["filter"] = filter.name;
  sample["metrics"] = ordered_json::array();
  sample["doc_hash"] = document_hash(document.doc);
  sample["prompt_hash"] = text_hash(prompt(definition.output_type, document));
  sample["target_hash"] = text_hash(document.target);
  for (const MetricScore& metric : score.scores) {
    if (metric.filter != filter.name) continue;
    sample["metrics"].push_back(metric.metric.name);
    sample[metric.metric.name] = sample_value(metric.metric, definition.output_type, metric.document_values.at(place));
  }
  return sample;
}

}  // namespace

std::string write_samples(const TaskDefinition& definition, const std::vector<EvaluatedDocument>& documents,
                          const std::vector<std::vector<Response>>& responses, const TaskScore& score,
                          const std::function<void(std::string_view)>& write) {
  ContentHasher hasher;
  for (const ResponseFilter& filter : response_filters(definition.filter_list)) {
    for (size_t place = 0; place < documents.size(); ++place) {
      const ordered_json line = sample(definition, documents[place], responses[place], filter, score, place);
      for (const char* key : {"doc_hash", "prompt_hash", "target_hash"}) hasher.update(line[key].get<std::string>());
      write(python_json(line, {.ensure_ascii = false}) + "\n");
    }
  }
  return hasher.finish();
}

}  // namespace moebench
