// The tiny model's perplexity, and the same from its logits and plain loops.
#pragma once

#include <cmath>
#include <exception>
#include <string>
#include <vector>

#include <ATen/ATen.h>

#include "tests/tasks/task_fixture.h"

namespace moebench {

class PerplexityFixture : public TaskFixture {
 protected:
  nlohmann::json options(const nlohmann::json& more = nlohmann::json::object()) const {
    nlohmann::json json = {{"text", text_.string()}, {"window", 16}};
    json.update(more);
    return json;
  }

  std::string refusal(const nlohmann::json& more = nlohmann::json::object()) {
    try {
      measure("perplexity", options(more));
    } catch (const std::exception& error) {
      return error.what();
    }
    return "accepted";
  }

  // -log p of the token behind the context.
  double negative_log_likelihood(const std::vector<int64_t>& context, int64_t token) const {
    const at::Tensor ids = at::tensor(context, at::kLong).unsqueeze(0);
    const at::Tensor logits = model_->logits(model_->forward(ids))[0][-1].to(at::kDouble);
    double sum = 0;
    for (int64_t other = 0; other < logits.numel(); ++other) sum += std::exp(logits[other].item<double>());
    return std::log(sum) - logits[token].item<double>();
  }
};

}  // namespace moebench
