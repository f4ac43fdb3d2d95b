#include "harness/scoring/answers.h"

#include <algorithm>
#include <span>
#include <stdexcept>

#include "harness/scoring/greedy.h"

namespace moebench {
namespace {

// Requests that are made, encoded and scored together: what is held does not grow with the task.
constexpr int64_t kTokensAtOnce = 1 << 20;

// Of the requests that an instance was asked by.
Response as_response(std::span<const TokenScores> parts) {
  Response response{.is_greedy = true};
  for (const TokenScores& scores : parts) {
    response.loglikelihood += scores.sum();
    const auto is_argmax = [](bool greedy) { return greedy; };
    response.is_greedy &= std::all_of(scores.is_greedy.begin(), scores.is_greedy.end(), is_argmax);
  }
  return response;
}

class Answering {
 public:
  Answering(const LlamaModel& model, const Tokenizer& tokenizer, const AnswerSettings& settings)
      : model_(model), tokenizer_(tokenizer), settings_(settings) {}

  Answers loglikelihoods(const std::vector<EvaluatedDocument>& documents) {
    return scored(documents, [&](const Instance& instance) {
      const EncodedPair pair = encode_pair(tokenizer_, instance.context, instance.continuation, settings_.profile);
      std::vector<ScoreRequest> request = {fit(pair, settings_.max_length)};
      answers_.num_swallowed += pair.was_swallowed;
      answers_.num_truncated += request.front().ids.size() < pair.ids.size();
      return request;
    });
  }

  Answers rolling(const std::vector<EvaluatedDocument>& documents) {
    return scored(documents, [&](const Instance& instance) {
      return rolling_requests(encode_whole(tokenizer_, instance.continuation, settings_.profile), settings_.max_length);
    });
  }

  Answers generations(const std::vector<EvaluatedDocument>& documents) {
    const std::vector<std::string> stops = stop_strings();
    const auto max_tokens = settings_.generation_kwargs.value("max_gen_toks", int64_t{256});
    for (const EvaluatedDocument& document : documents) {
      for_each_instance(document, [&](const Instance& instance) {
        answers_.responses.push_back({{.text = generate(instance.context, stops, max_tokens)}});
      });
      report(static_cast<double>(answers_.responses.size()), documents.size());
    }
    return std::move(answers_);
  }

 private:
  template <class Use>
  static void for_each_instance(const EvaluatedDocument& document, const Use& use) {
    for (size_t place = 0; place < document.instances.size(); ++place) {
      try {
        use(document.request(place));
      } catch (const std::invalid_argument& error) {
        throw std::invalid_argument("document " + std::to_string(document.doc_id) + ": " + error.what());
      }
    }
  }

  // encode: an instance to the requests whose scores make its response.
  template <class Encode>
  Answers scored(const std::vector<EvaluatedDocument>& documents, const Encode& encode) {
    std::vector<ScoreRequest> requests;
    std::vector<std::vector<size_t>> ends;  // of each document's instances among them
    int64_t num_tokens = 0;
    for (const EvaluatedDocument& document : documents) {
      ends.emplace_back();
      for_each_instance(document, [&](const Instance& instance) {
        for (ScoreRequest& request : encode(instance)) {
          num_tokens += std::ssize(request.ids);
          requests.push_back(std::move(request));
        }
        ends.back().push_back(requests.size());
      });
      if (num_tokens < kTokensAtOnce && &document != &documents.back()) continue;
      add_responses(requests, ends, documents.size());
      requests.clear();
      ends.clear();
      num_tokens = 0;
    }
    return std::move(answers_);
  }

  void add_responses(const std::vector<ScoreRequest>& requests, const std::vector<std::vector<size_t>>& ends,
                     size_t num_documents) {
    const auto before = static_cast<double>(answers_.responses.size()), now = static_cast<double>(ends.size());
    const std::vector<TokenScores> scores = score(model_, requests, [&](const ScoringProgress& progress) {
      const double share = static_cast<double>(progress.tokens_done) / static_cast<double>(progress.tokens_total);
      report(before + now * share, num_documents);
    });
    size_t begin = 0;
    for (const std::vector<size_t>& of_document : ends) {
      std::vector<Response>& responses = answers_.responses.emplace_back();
      for (const size_t end : of_document) {
        responses.push_back(as_response(std::span(scores).subspan(begin, end - begin)));
        begin = end;
      }
    }
  }

  void report(double documents_done, size_t num_documents) const {
    if (settings_.progress) settings_.progress(documents_done / static_cast<double>(num_documents));
  }

  std::vector<std::string> stop_strings() const {
    return settings_.generation_kwargs.at("until").get<std::vector<std::string>>();
  }

  // Up to the first stop string or EOS; room for all new tokens is made on the context's left.
  std::string generate(const std::string& context, const std::vector<std::string>& stops, int64_t max_tokens) {
    std::vector<int64_t> prompt = encode_from_start(tokenizer_, context, settings_.profile);
    if (prompt.empty()) prompt = {prefix_token(tokenizer_, settings_.profile)};
    const int64_t room = settings_.max_length - max_tokens;
    if (room < 1) {
      throw std::invalid_argument("max_gen_toks " + std::to_string(max_tokens) + " leaves no room for a context in " +
                                  std::to_string(settings_.max_length) + " tokens");
    }
    if (std::ssize(prompt) > room) {
      prompt.erase(prompt.begin(), prompt.end() - room);
      ++answers_.num_truncated;
    }
    const auto decode = [&](const std::vector<int64_t>& ids) {
      return tokenizer_.decode(std::vector<int32_t>(ids.begin(), ids.end()));
    };
    const auto contains_stop = [&](const std::string& text) {
      return std::any_of(stops.begin(), stops.end(), [&](const std::string& stop) {
        return !stop.empty() && text.find(stop) != std::string::npos;
      });
    };
    const std::vector<int64_t> ends(tokenizer_.eos_ids().begin(), tokenizer_.eos_ids().end());
    std::string text = decode(generate_greedily(
        model_, prompt, max_tokens, ends, [&](const std::vector<int64_t>& ids) { return contains_stop(decode(ids)); }));
    for (const std::string& stop : stops) {
      if (!stop.empty()) text = text.substr(0, text.find(stop));
    }
    return text;
  }

  const LlamaModel& model_;
  const Tokenizer& tokenizer_;
  const AnswerSettings& settings_;
  Answers answers_;
};

}  // namespace

ScoreRequest fit(const EncodedPair& pair, int64_t max_length) {
  const int64_t length = std::ssize(pair.ids), cut = std::max<int64_t>(0, length - (max_length + 1));
  if (pair.num_context - cut < 1) {
    throw std::invalid_argument("the continuation has " + std::to_string(length - pair.num_context) +
                                " tokens, more than the " + std::to_string(max_length) + " that are fed; shorten it");
  }
  return {{pair.ids.begin() + cut, pair.ids.end()}, pair.num_context - cut};
}

std::vector<ScoreRequest> rolling_requests(const std::vector<int64_t>& ids, int64_t max_length) {
  std::vector<ScoreRequest> requests;
  const int64_t num_tokens = std::ssize(ids) - 1;  // without the prefix
  for (int64_t scored = 0; scored < num_tokens;) {
    const int64_t count = std::min(max_length, num_tokens - scored);
    const int64_t end = scored + count + 1, begin = std::max<int64_t>(0, end - (max_length + 1));
    requests.push_back({{ids.begin() + begin, ids.begin() + end}, end - count - begin});
    scored += count;
  }
  return requests;
}

Answers answer(const LlamaModel& model, const Tokenizer& tokenizer, OutputType output_type,
               const std::vector<EvaluatedDocument>& documents, const AnswerSettings& settings) {
  Answering answering(model, tokenizer, settings);
  switch (output_type) {
    case OutputType::kMultipleChoice:
    case OutputType::kLoglikelihood:
      return answering.loglikelihoods(documents);
    case OutputType::kLoglikelihoodRolling:
      return answering.rolling(documents);
    case OutputType::kGenerateUntil:
      break;
  }
  return answering.generations(documents);
}

}  // namespace moebench
