// generate: greedy text, to see that a model still speaks.
#include <memory>

#include <fmt/format.h>

#include "harness/commands/commands.h"
#include "harness/commands/model_arguments.h"
#include "harness/scoring/greedy.h"
#include "harness/text/pair_encoding.h"

namespace moebench {
namespace {

struct GenerateArguments {
  ModelArguments model;
  std::string prompt;
  int64_t max_tokens = 64;
};

std::vector<int64_t> encode_prompt(const Tokenizer& tokenizer, const std::string& prompt) {
  const std::vector<int32_t> ids = tokenizer.encode_with_defaults(prompt);
  if (ids.empty()) return {prefix_token(tokenizer)};
  return {ids.begin(), ids.end()};
}

int generate(const GenerateArguments& arguments) {
  const LoadedModel loaded = load_model(arguments.model);
  const Tokenizer& tokenizer = *loaded.tokenizer;
  const std::vector<int64_t> stop_ids(tokenizer.eos_ids().begin(), tokenizer.eos_ids().end());
  const std::vector<int64_t> generated =
      generate_greedily(loaded.model, encode_prompt(tokenizer, arguments.prompt), arguments.max_tokens, stop_ids);
  fmt::print("{}\n", tokenizer.decode(std::vector<int32_t>(generated.begin(), generated.end())));
  return 0;
}

}  // namespace

std::function<int()> define_generate(CLI::App& command) {
  auto arguments = std::make_shared<GenerateArguments>();
  add_model_option(command, arguments->model);
  add_conversion_options(command, arguments->model);
  add_precision_options(command, arguments->model);
  command.add_option("--prompt", arguments->prompt, "the text to continue, as it is (no chat template)")
      ->required()
      ->type_name("TEXT");
  command.add_option("--max-tokens", arguments->max_tokens, "stop after so many tokens, or at the end-of-text token")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 30))
      ->capture_default_str();
  command.footer("Writes the continuation that is most probable token by token, without the prompt.");
  return [arguments] { return generate(*arguments); };
}

}  // namespace moebench
