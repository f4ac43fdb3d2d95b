// tokenize: JSONL strings in, JSONL id arrays out.
#include <iostream>
#include <memory>

#include "harness/checkpoint/checkpoint.h"
#include "harness/commands/commands.h"
#include "harness/commands/json_lines.h"
#include "harness/text/tokenizer.h"

namespace moebench {
namespace {

struct TokenizeArguments {
  std::string model;
  bool plain_text = false;
  bool add_special_tokens = false;
};

std::vector<int32_t> encode(const Tokenizer& tokenizer, const std::string& text, const TokenizeArguments& arguments) {
  if (arguments.add_special_tokens) return tokenizer.encode_with_defaults(text);
  return tokenizer.encode(text, arguments.plain_text ? SpecialTokens::kPlainText : SpecialTokens::kParse);
}

int tokenize(const TokenizeArguments& arguments) {
  const std::unique_ptr<Tokenizer> tokenizer = Tokenizer::load(resolve_model_path(arguments.model));
  std::ios::sync_with_stdio(false);
  JsonLines lines(std::cin, "stdin");
  while (const auto text = lines.next()) {
    if (!text->is_string()) throw std::runtime_error(lines.place() + ": not a JSON string; write one string a line");
    write_line(std::cout, nlohmann::json(encode(*tokenizer, text->get<std::string>(), arguments)).dump());
  }
  return 0;
}

}  // namespace

std::function<int()> define_tokenize(CLI::App& command) {
  auto arguments = std::make_shared<TokenizeArguments>();
  command
      .add_option("--model", arguments->model,
                  "a Hugging Face folder with tokenizer.json, a .gguf file, or a name that scripts/fetch knows")
      ->required()
      ->type_name("MODEL");
  auto* plain = command.add_flag("--plain-text", arguments->plain_text,
                                 "\"<|im_end|>\" in the text is ten characters (default: that token)");
  command
      .add_flag("--add-special-tokens", arguments->add_special_tokens,
                "with the BOS and EOS that the tokenizer adds by default")
      ->excludes(plain);
  command.footer(
      "Reads JSON strings from stdin, one a line; writes a JSON array of ids for each, as soon as it is read.\n"
      "  printf '%s\\n' '\"Hello world\"' | moebench tokenize --model smollm2-135m");
  return [arguments] { return tokenize(*arguments); };
}

}  // namespace moebench
