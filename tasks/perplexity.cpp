// Perplexity of a text by a named protocol, from per-window sums that are kept for pairwise comparison.
#include <cmath>
#include <stdexcept>

#include "harness/scoring/window_scorer.h"
#include "harness/task.h"
#include "tasks/window_plan.h"

namespace moebench {
namespace {

struct PerplexityOptions {
  std::string text = "wiki-passages-test";
  std::string protocol = "gptq";
  int64_t window = 2048;
  int64_t stride = 512;
  int64_t max_windows = 0;
  void for_each(auto&& visit) {
    visit("text", text, "a file (.jsonl, .raw or plain text), or the name of a known text");
    visit("protocol", protocol, "gptq: windows side by side; strided: a sliding window that scores only new tokens",
          {"gptq", "strided"});
    visit("window", window, "tokens of a window");
    visit("stride", stride, "tokens a sliding window advances (strided only)");
    visit("max_windows", max_windows, "measure only the first so many windows; 0 = all");
  }
};

// Negative log-likelihood per token over all windows, with its standard error over windows.
struct WindowAverage {
  double nll = 0;
  std::optional<double> standard_error;
};

// Total over total; the error is the linearised ratio estimator's. Windows of equal length, as GPTQ's all are, make
// these the plain mean of window means and the sample standard deviation over the root of n.
WindowAverage average(const std::vector<Item>& windows) {
  double nll = 0, tokens = 0;
  for (const Item& window : windows) {
    nll += window.nll;
    tokens += static_cast<double>(window.tokens);
  }
  WindowAverage result{nll / tokens, std::nullopt};
  const double n = static_cast<double>(windows.size());
  if (windows.size() < 2) return result;
  double squares = 0;
  for (const Item& window : windows) {
    const double deviation = window.nll - result.nll * static_cast<double>(window.tokens);
    squares += deviation * deviation;
  }
  result.standard_error = std::sqrt(n / (n - 1) * squares) / tokens;
  return result;
}

class Perplexity : public Task {
 public:
  explicit Perplexity(PerplexityOptions options) : options_(std::move(options)) {
    check_window_options("perplexity", options_.window, options_.max_windows);
    if (is_strided() && (options_.stride < 1 || options_.stride > options_.window)) {
      throw std::invalid_argument("perplexity: option 'stride' must be 1 to window = " +
                                  std::to_string(options_.window) + ", not " + std::to_string(options_.stride));
    }
  }

  std::string data_hash() const override { return read_named_corpus(options_.text).content_hash; }

  Measurement measure(TaskContext& context) const override {
    const Corpus corpus = read_named_corpus(options_.text);
    const at::Tensor stream = token_stream(corpus, context.tokenizer);
    const std::string name = corpus.name + "/" + protocol_name();
    const std::vector<TextWindow> windows = plan(stream.numel(), context.model.config());
    Measurement measurement;
    measurement.text_tokens = stream.numel();
    measurement.items = score_windows(context, stream, windows, name);
    const WindowAverage mean = average(measurement.items);
    const double ppl = std::exp(mean.nll);
    // Delta method: d exp(x) = exp(x) dx.
    std::optional<double> ppl_error;
    if (mean.standard_error) ppl_error = ppl * *mean.standard_error;
    const auto n = static_cast<int64_t>(windows.size());
    measurement.metrics = {{name + "/ppl", "", ppl, Direction::kLowerIsBetter, n, ppl_error},
                           {name + "/nll", "nat/token", mean.nll, Direction::kLowerIsBetter, n, mean.standard_error}};
    return measurement;
  }

 private:
  bool is_strided() const { return options_.protocol == "strided"; }

  std::string protocol_name() const {
    const std::string window = std::to_string(options_.window);
    return is_strided() ? "strided-" + window + "-" + std::to_string(options_.stride) : "gptq-" + window;
  }

  std::vector<TextWindow> plan(int64_t num_tokens, const LlamaConfig& config) const try {
    check_positions(options_.window, config.max_position_embeddings);
    return is_strided() ? sliding_windows(num_tokens, options_.window, options_.stride, options_.max_windows)
                        : side_by_side_windows(num_tokens, options_.window, options_.max_windows);
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument("perplexity of " + options_.text + ": " + error.what());
  }

  std::vector<Item> score_windows(TaskContext& context, const at::Tensor& stream,
                                  const std::vector<TextWindow>& windows, const std::string& name) const {
    const int64_t* ids = stream.const_data_ptr<int64_t>();
    std::vector<ScoreRequest> requests;
    for (const TextWindow& window : windows) {
      requests.push_back({{ids + window.begin, ids + window.end}, window.first_scored - window.begin});
    }
    const std::vector<TokenScores> scores = score(context.model, requests, [&](const ScoringProgress& progress) {
      if (context.progress) {
        context.progress(static_cast<double>(progress.tokens_done), static_cast<double>(progress.tokens_total));
      }
    });
    std::vector<Item> items;
    for (size_t window = 0; window < scores.size(); ++window) {
      items.push_back({.task = name,
                       .id = std::to_string(window),
                       .nll = -scores[window].sum(),
                       .tokens = static_cast<int64_t>(scores[window].logprobs.size())});
    }
    return items;
  }

  PerplexityOptions options_;
};

const Registration<Task, Perplexity, PerplexityOptions> registration(
    "perplexity", "exp of the mean negative log-likelihood per token of a text, by the protocol its name says");

}  // namespace
}  // namespace moebench
