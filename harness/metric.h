// What a measurement yields. Names say the protocol: "wikitext2/gptq-2048/ppl", never a bare "ppl".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace moebench {

enum class Direction { kLowerIsBetter, kHigherIsBetter, kNeither };

struct Metric {
  std::string name;  // protocol-named
  std::string unit;  // "nat/token", "parameters", "s", ""
  double value = 0;
  Direction direction = Direction::kNeither;
  int64_t n = 1;                         // what it is an average of: windows, items, tokens
  std::optional<double> standard_error;  // over those n
};

// A per-document or per-window score, kept so that two models are compared pairwise on the same items.
struct Item {
  std::string task;    // protocol-named
  std::string id;      // stable across models: window index, document id
  double nll = 0;      // sum of negative log-likelihood, nats
  int64_t tokens = 0;  // that it is the sum over, or words or bytes where the metric is per word or byte; 0: no matter
  std::optional<bool> correct;
  std::string cluster;  // items of one source (passage, subject) are not independent; "": a cluster of its own
};

struct Measurement {
  std::vector<Metric> metrics;
  std::vector<Item> items;
  int64_t text_tokens = 0;  // of the whole text that it read part of, as the model's tokenizer counts
};

}  // namespace moebench
