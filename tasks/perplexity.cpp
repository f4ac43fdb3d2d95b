// Perplexity of a text, or of each text of a folder, by a named protocol, from per-window sums that are kept for
// pairwise comparison.
#include <cmath>

#include "harness/content_hash.h"
#include "harness/scoring/window_scorer.h"
#include "harness/task.h"
#include "tasks/nll_average.h"
#include "tasks/perplexity_protocol.h"

namespace moebench {
namespace {

struct NamedScoredText : ScoredText {
  std::string name;  // "wikitext2/gptq-2048"
};

std::vector<ScoreRequest> requests_of(const std::vector<NamedScoredText>& texts) {
  std::vector<ScoreRequest> requests;
  for (const NamedScoredText& text : texts) {
    for (const TextWindow& window : text.windows) {
      requests.push_back(
          {{text.ids.begin() + window.begin, text.ids.begin() + window.end}, window.first_scored - window.begin});
    }
  }
  return requests;
}

// One a window, in the order of texts and of their windows.
std::vector<Item> items_of(const std::vector<NamedScoredText>& texts, const std::vector<TokenScores>& scores) {
  std::vector<Item> items;
  for (const NamedScoredText& text : texts) {
    for (size_t window = 0; window < text.windows.size(); ++window) {
      const TokenScores& scored = scores[items.size()];
      items.push_back({.task = text.name,
                       .id = std::to_string(window),
                       .nll = -scored.sum(),
                       .tokens = static_cast<int64_t>(scored.logprobs.size())});
    }
  }
  return items;
}

// n: what it is an average of.
void add_metrics(const std::string& name, const NllAverage& average, int64_t n, Measurement& measurement) {
  const double ppl = std::exp(average.nll);
  // Delta method: d exp(x) = exp(x) dx.
  std::optional<double> ppl_error;
  if (average.standard_error) ppl_error = ppl * *average.standard_error;
  measurement.metrics.push_back({name + "/ppl", "", ppl, Direction::kLowerIsBetter, n, ppl_error});
  measurement.metrics.push_back(
      {name + "/nll", "nat/token", average.nll, Direction::kLowerIsBetter, n, average.standard_error});
}

class Perplexity : public Task {
 public:
  explicit Perplexity(PerplexityOptions options) : options_(std::move(options)) { check_protocol_options(options_); }

  std::string data_hash() const override {
    if (!is_text_folder(options_.text)) return read_named_corpus(options_.text).content_hash;
    ContentHasher hasher;
    for (const NamedText& text : find_texts(options_.text)) {
      hasher.update(text.name + " " + read_corpus(text.path).content_hash + "\n");
    }
    return hasher.finish();
  }

  Measurement measure(TaskContext& context) const override {
    const std::vector<NamedScoredText> texts = read_texts(context);
    const std::vector<TokenScores> scores = score(context.model, requests_of(texts), [&](const auto& progress) {
      if (!context.progress) return;
      context.progress(static_cast<double>(progress.tokens_done), static_cast<double>(progress.tokens_total));
    });
    Measurement measurement{.items = items_of(texts, scores)};
    std::vector<NllAverage> averages;
    std::span<const Item> rest = measurement.items;
    for (const NamedScoredText& text : texts) {
      measurement.text_tokens += std::ssize(text.ids);
      averages.push_back(average_over_windows(rest.first(text.windows.size())));
      add_metrics(text.name, averages.back(), std::ssize(text.windows), measurement);
      rest = rest.subspan(text.windows.size());
    }
    if (is_text_folder(options_.text)) add_averages(averages, measurement);
    return measurement;
  }

 private:
  // All of them before anything is computed: one may be too short.
  std::vector<NamedScoredText> read_texts(const TaskContext& context) const {
    std::vector<NamedScoredText> texts;
    for (const NamedText& text : find_texts(options_.text)) {
      texts.push_back(
          {read_scored_text(text.path, options_, context.tokenizer, context.model.config().max_position_embeddings),
           text.name + "/" + protocol_name(options_)});
    }
    return texts;
  }

  // A perplexity is exp of the averaged nll, not an average of perplexities.
  void add_averages(const std::vector<NllAverage>& domains, Measurement& measurement) const {
    const std::string name = folder_name(options_.text) + "/" + protocol_name(options_);
    add_metrics(name + "/token-weighted", token_weighted_average(domains), std::ssize(measurement.items), measurement);
    add_metrics(name + "/macro-average", macro_average(domains), std::ssize(domains), measurement);
  }

  PerplexityOptions options_;
};

const Registration<Task, Perplexity, PerplexityOptions> registration(
    "perplexity", "exp of the mean negative log-likelihood per token of a text, by the protocol its name says");

}  // namespace
}  // namespace moebench
