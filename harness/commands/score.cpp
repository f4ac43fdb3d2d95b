// score: log-probability of continuations, a request a line. The narrow waist for other evaluation programs.
#include <algorithm>
#include <iostream>
#include <memory>

#include "harness/commands/commands.h"
#include "harness/commands/json_lines.h"
#include "harness/commands/model_arguments.h"
#include "harness/scoring/answers.h"

namespace moebench {
namespace {

std::string text_field(const nlohmann::json& line, const char* name) {
  if (!line.is_object()) throw std::invalid_argument(R"(not an object {"context": ..., "continuation": ...})");
  const auto field = line.find(name);
  if (field == line.end()) throw std::invalid_argument("the field \"" + std::string(name) + "\" is missing");
  if (!field->is_string()) throw std::invalid_argument("the field \"" + std::string(name) + "\" is not a string");
  return field->get<std::string>();
}

nlohmann::ordered_json scored(const LoadedModel& loaded, const nlohmann::json& line) {
  const EncodedPair pair =
      encode_pair(*loaded.tokenizer, text_field(line, "context"), text_field(line, "continuation"));
  const ScoreRequest request = fit(pair, loaded.model.config().max_position_embeddings);
  const TokenScores scores = score(loaded.model, {request}).front();
  nlohmann::ordered_json result = {
      {"logprob", scores.sum()},
      {"is_greedy", std::all_of(scores.is_greedy.begin(), scores.is_greedy.end(), [](bool greedy) { return greedy; })},
      {"num_tokens", scores.logprobs.size()}};
  if (pair.was_swallowed) result["note"] = "the continuation has no token of its own: the last joint token was scored";
  return result;
}

int score_lines(const ModelArguments& arguments) {
  const LoadedModel loaded = load_model(arguments);
  std::ios::sync_with_stdio(false);
  JsonLines lines(std::cin, "stdin");
  while (const auto line = lines.next()) {
    nlohmann::ordered_json result;
    try {
      result = scored(loaded, *line);
    } catch (const std::invalid_argument& error) {
      throw std::invalid_argument(lines.place() + ": " + error.what());
    }
    write_line(std::cout, result.dump());
  }
  return 0;
}

}  // namespace

std::function<int()> define_score(CLI::App& command) {
  auto arguments = std::make_shared<ModelArguments>();
  add_model_option(command, *arguments);
  add_conversion_options(command, *arguments);
  add_precision_options(command, *arguments);
  command.footer(
      "Reads {\"context\": text, \"continuation\": text} from stdin, one a line; writes for each, as soon as it is\n"
      "computed, {\"logprob\": nats, \"is_greedy\": bool, \"num_tokens\": n} about the continuation. Context and\n"
      "continuation are encoded together, as lm-evaluation-harness does; white space between them counts as the\n"
      "continuation's; an empty context is the BOS token; a context that does not fit loses its beginning.");
  return [arguments] { return score_lines(*arguments); };
}

}  // namespace moebench
