// retrain: a conversion's brief training on a text, without a database.
#include <algorithm>
#include <memory>

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "harness/atomic_file.h"
#include "harness/commands/commands.h"
#include "harness/commands/data_folder.h"
#include "harness/commands/model_arguments.h"
#include "harness/commands/output_file.h"
#include "harness/commands/settings.h"
#include "harness/commands/terminal_progress.h"
#include "harness/interrupt.h"
#include "harness/retraining/recipe.h"
#include "harness/retraining/retrainer.h"
#include "harness/text/corpus.h"

namespace moebench {
namespace {

constexpr int64_t kMostTokens = int64_t{1} << 40;

struct RetrainArguments {
  ModelArguments model;
  std::vector<std::string> texts;
  std::vector<int64_t> tokens;
  std::string recipe = "common";
  std::vector<std::string> settings;
  int64_t window = 512;
  uint64_t seed = 0;
  bool activation_checkpointing = false;
  std::string out;
  std::string data_folder;
  bool as_json = false;
};

// The last mark is --out itself; the others stand beside it: cmoe.safetensors, cmoe-50000.safetensors.
std::filesystem::path file_of_mark(const RetrainArguments& arguments, int64_t tokens) {
  const std::filesystem::path out = arguments.out;
  if (tokens == arguments.tokens.back()) return out;
  return out.parent_path() / fmt::format("{}-{}{}", out.stem().string(), tokens, out.extension().string());
}

std::filesystem::path state_file(const RetrainArguments& arguments) { return arguments.out + ".state"; }

// Before hours of work, not after.
void check_outputs(const RetrainArguments& arguments) {
  std::vector<std::filesystem::path> outputs = {state_file(arguments)};
  for (const int64_t tokens : arguments.tokens) outputs.push_back(file_of_mark(arguments, tokens));
  for (const std::filesystem::path& output : outputs) {
    refuse_to_replace_model(resolve_model_path(arguments.model.model), "--out", output);
    refuse_to_replace(arguments.model.conversion, "--out", output);
    for (const std::string& text : arguments.texts) refuse_to_replace(find_text(text), "--out", output);
    const AtomicFile can_be_written(output);
  }
}

at::Tensor read_texts(const RetrainArguments& arguments, const Tokenizer& tokenizer) {
  std::vector<at::Tensor> streams;
  for (const std::string& text : arguments.texts) streams.push_back(token_stream(read_named_corpus(text), tokenizer));
  return at::cat(streams);
}

RetrainRecipe choose_recipe(const RetrainArguments& arguments, const Conversion& conversion) {
  RetrainRecipe recipe = recipe_for(arguments.recipe, conversion.metadata);
  change_recipe(recipe, parse_settings(arguments.settings));
  check_recipe(recipe);
  return recipe;
}

nlohmann::json run(const RetrainArguments& arguments, const RetrainRequest& request) {
  SweepProgress progress = terminal_progress();
  progress.expect("retrain");
  progress.start("retrain", "retrain by " + arguments.recipe);
  RetrainRequest watched = request;
  watched.progress = [&](const RetrainProgress& done) {
    throw_if_interrupted();
    progress.update(done.fraction);
  };
  nlohmann::json retraining;
  retrain(watched, [&](int64_t tokens, const Conversion& conversion) {
    save_conversion(conversion, file_of_mark(arguments, tokens));
    retraining = conversion.metadata.at("retraining");
  });
  progress.finish();
  return retraining;
}

void report(const RetrainArguments& arguments, const nlohmann::json& retraining) {
  if (arguments.as_json) {
    fmt::print("{}\n", retraining.dump(2));
    return;
  }
  constexpr size_t kMostLines = 20;
  const nlohmann::json& curve = retraining["curve"];
  const size_t stride = (curve.size() + kMostLines - 1) / kMostLines;
  fmt::print("{:>10} {:<10} {:>8} {:>9} {:>13} {:>13} {:>8}\n", "tokens", "stage", "loss", "balance", "learning rate",
             "gradient norm", "tokens/s");
  for (size_t index = 0; index < curve.size(); ++index) {
    if (index % stride != 0 && index + 1 != curve.size()) continue;
    const nlohmann::json& point = curve[index];
    const auto number = [&](const char* field) { return point[field].get<double>(); };
    fmt::print("{:>10} {:<10} {:>8.4f} {:>9.4f} {:>13.3e} {:>13.4f} {:>8.0f}\n", point["tokens"].get<int64_t>(),
               point["stage"].get<std::string>(), number("loss"), number("balance"), number("learning_rate"),
               number("gradient_norm"), number("tokens_per_second"));
  }
  fmt::print("{}: {} tokens, {:.0f} s, peak memory {:.0f} MiB\n", arguments.out, retraining["tokens"].get<int64_t>(),
             retraining["seconds"].get<double>(), retraining["peak_memory_bytes"].get<double>() / (1 << 20));
}

int run_retrain(const RetrainArguments& arguments) {
  handle_interrupts();
  use_data_folder(arguments.data_folder);
  check_outputs(arguments);
  const std::filesystem::path path = resolve_model_path(arguments.model.model);
  const std::unique_ptr<Checkpoint> checkpoint = open_checkpoint(path);
  const Conversion conversion = load_fitting_conversion(arguments.model, *checkpoint);
  const RetrainRequest request{.checkpoint = *checkpoint,
                               .conversion = conversion,
                               .recipe = choose_recipe(arguments, conversion),
                               .ids = read_texts(arguments, *load_tokenizer(path, checkpoint->config())),
                               .window = arguments.window,
                               .seed = arguments.seed,
                               .marks = arguments.tokens,
                               .dtype = precision_of(arguments.model).dtype,
                               .activation_checkpointing = arguments.activation_checkpointing,
                               .state_file = state_file(arguments)};
  const nlohmann::json retraining = run(arguments, request);
  std::filesystem::remove(state_file(arguments));
  report(arguments, retraining);
  return 0;
}

std::string recipe_help() {
  std::string text;
  for (const OptionDescription& field : describe_recipe_fields()) {
    text += fmt::format("  {:<36} {}\n", field.name + " = " + field.default_value, field.help);
  }
  return text;
}

}  // namespace

std::function<int()> define_retrain(CLI::App& command) {
  auto arguments = std::make_shared<RetrainArguments>();
  add_model_option(command, arguments->model);
  command.add_option("--conversion", arguments->model.conversion, "the file that convert or retrain wrote")
      ->required()
      ->type_name("FILE");
  command.add_option("--text", arguments->texts, "texts to train on, one after the other: files, or known names")
      ->required()
      ->type_name("FILE");
  command
      .add_option("--tokens", arguments->tokens,
                  "the token budget; several, ascending: the conversion at each, from one training")
      ->required()
      ->delimiter(',')
      ->check(CLI::Range(int64_t{1}, kMostTokens));
  command
      .add_option("--recipe", arguments->recipe,
                  "common, common_warm_up (routers first, by dense mixing) or published (the method's own)")
      ->capture_default_str();
  command
      .add_option("--set", arguments->settings,
                  "a field of the recipe, in all its stages or in one: learning_rate=1e-3, router.token_share=0.2; "
                  "repeatable")
      ->type_name("[STAGE.]NAME=VALUE")
      ->allow_extra_args(false);
  command.add_option("--window", arguments->window, "tokens that are seen together")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 30))
      ->capture_default_str();
  // Up to where JSON's numbers are exact.
  command.add_option("--seed", arguments->seed, "of the windows' order, low-rank updates, dropout and noise")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 53))
      ->capture_default_str();
  command.add_option("--dtype", arguments->model.dtype, "of the products; what is trained is float32")
      ->check(CLI::IsMember({"float32", "bfloat16"}))
      ->capture_default_str();
  command.add_flag("--activation-checkpointing", arguments->activation_checkpointing,
                   "hold the activations of one layer and compute each twice: less memory, a third more time");
  command
      .add_option("--out", arguments->out,
                  "the conversion file to write; beside it .state, from which a run that was stopped goes on")
      ->required()
      ->type_name("FILE");
  add_data_option(command, arguments->data_folder);
  command.add_flag("--json", arguments->as_json, "report for machines");
  command.footer("Fields of a stage, as common has them (moebench methods shows what the published recipes change):\n" +
                 recipe_help() +
                 "\n  moebench retrain --model smollm2-135m --conversion cmoe.safetensors --text wiki-passages-train "
                 "--tokens 50000,200000 --out retrained.safetensors");
  return [arguments] { return run_retrain(*arguments); };
}

}  // namespace moebench
