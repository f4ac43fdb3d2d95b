// What stands between a task's definition and its numbers: documents with their requests, and what a model answered.
// The terms are lm-evaluation-harness's.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace moebench {

enum class OutputType { kMultipleChoice, kLoglikelihood, kLoglikelihoodRolling, kGenerateUntil };

// One request. Rolling: context is empty and continuation the whole page. Generation: continuation is empty.
struct Instance {
  std::string context, continuation;
};

struct EvaluatedDocument {
  int64_t doc_id = 0;                // its place in the evaluation split, from 0
  nlohmann::ordered_json doc;        // after the task's preprocessing
  std::string target;                // as lm-eval's samples file spells it
  std::vector<std::string> choices;  // multiple choice: the texts, without the delimiter before them
  int64_t gold = -1;                 // multiple choice: the right one's place in choices
  std::string cluster;               // items of one source are not independent; empty: a cluster of its own
  // What all contexts begin with: a description, then the examples, which documents share.
  std::vector<std::shared_ptr<const std::string>> before;
  std::vector<Instance> instances;  // without it; multiple choice: one a choice, in their order; else one

  Instance request(size_t place) const;  // an instance as a model is asked: long, hence made when it is needed
};

inline Instance EvaluatedDocument::request(size_t place) const {
  Instance request = instances.at(place);
  std::string context;
  for (const auto& part : before) context += *part;
  request.context.insert(0, context);
  return request;
}

// A model's answer to an instance.
struct Response {
  double loglikelihood = 0;  // natural log, summed over the continuation's tokens
  bool is_greedy = false;    // every token of the continuation is the argmax
  std::string text;          // generation
};

}  // namespace moebench
