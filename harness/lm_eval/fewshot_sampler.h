// Which documents of a pool become the examples before a document (lm_eval/api/samplers.py).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "harness/text/python_random.h"

namespace moebench {

// Draws go on from document to document: they must be asked for in the order of the documents, from the first.
class FewshotSampler {
 public:
  // sampler: "default" or "first_n". pool must outlive it. Throws std::invalid_argument if the pool is too small;
  // excludes: one document more is drawn.
  FewshotSampler(const std::vector<nlohmann::ordered_json>& pool, const std::string& sampler, int64_t num_fewshot,
                 bool excludes, uint64_t seed);

  // Places in the pool, num_fewshot of them. Examples equal to the evaluated document are left out if it excludes.
  std::vector<size_t> sample(const nlohmann::ordered_json& evaluated);

 private:
  std::vector<size_t> different(std::vector<size_t> places, const nlohmann::ordered_json& evaluated) const;

  const std::vector<nlohmann::ordered_json>& pool_;
  bool takes_first_;
  size_t num_fewshot_;
  bool excludes_;
  PythonRandom random_;
};

}  // namespace moebench
