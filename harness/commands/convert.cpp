// convert: one conversion of one model, without a database.
#include <memory>
#include <optional>

#include <fmt/format.h>

#include "harness/adjustment/adjusted_converter.h"
#include "harness/atomic_file.h"
#include "harness/commands/commands.h"
#include "harness/commands/data_folder.h"
#include "harness/commands/model_arguments.h"
#include "harness/commands/output_file.h"
#include "harness/commands/settings.h"
#include "harness/commands/terminal_progress.h"
#include "harness/converter.h"
#include "harness/evidence/calibration_text.h"
#include "harness/evidence/evidence_pass.h"
#include "harness/interrupt.h"
#include "harness/pipeline/sweep_spec.h"
#include "harness/text/corpus.h"

namespace moebench {
namespace {

struct ConvertArguments {
  ModelArguments model;
  std::string method;
  std::string shape;                   // "" = as active_ratio says
  std::optional<double> active_ratio;  // none = as shape says
  std::vector<std::string> settings;
  std::vector<std::string> adjustments;
  std::vector<std::string> texts;
  int64_t windows = 8;
  int64_t window = 2048;
  uint64_t seed = 0;
  std::string out;
  std::string data_folder;
  bool as_json = false;
};

MoeShape choose_shape(const ConvertArguments& arguments, const Converter& converter, const LlamaConfig& config) {
  const double ratio = arguments.active_ratio.value_or(1);
  if (!(ratio > 0 && ratio <= 1)) {
    throw std::invalid_argument(fmt::format("--active-ratio {}: must lie above 0 and not above 1", ratio));
  }
  const MoeShape shape = arguments.active_ratio ? converter.shape_for(ratio, config)
                                                : parse_moe_shape(arguments.shape, config.intermediate_size);
  converter.check_shape(shape, config);
  return shape;
}

// Everything that can be refused without the text is refused before it is tokenised.
void check_calibration(const ConvertArguments& arguments, const LlamaConfig& config) {
  if (arguments.texts.empty()) {
    throw std::invalid_argument(arguments.method + " reads calibration text; give it with --calibration");
  }
  if (arguments.window > config.max_position_embeddings) {
    throw std::invalid_argument(
        fmt::format("--window {}: is longer than the model's {} positions; choose a shorter one", arguments.window,
                    config.max_position_embeddings));
  }
  const auto num_texts = static_cast<int64_t>(arguments.texts.size());
  if (arguments.windows > kMaxCalibrationTokens / arguments.window / num_texts) {
    throw std::invalid_argument(fmt::format(
        "--windows {}: of {} tokens from each of {} texts are more than {} tokens; choose fewer or shorter windows",
        arguments.windows, arguments.window, num_texts, kMaxCalibrationTokens));
  }
  for (const std::string& text : arguments.texts) refuse_to_replace(find_text(text), "--out", arguments.out);
}

CalibrationText read_calibration(const ConvertArguments& arguments, const Tokenizer& tokenizer) {
  std::vector<CalibrationStream> streams;
  for (const std::string& text : arguments.texts) {
    const Corpus corpus = read_named_corpus(text);
    streams.push_back({corpus.name, token_stream(corpus, tokenizer)});
  }
  return draw_calibration_text(streams, arguments.windows, arguments.window, arguments.seed);
}

nlohmann::json describe_calibration(const ConvertArguments& arguments, const CalibrationText& text) {
  const auto num_texts = static_cast<int64_t>(text.domains.size());
  return {{"texts", text.domains},
          {"windows", arguments.windows},
          {"window", arguments.window},
          {"tokens", num_texts * arguments.windows * arguments.window},
          {"content_hash", text.content_hash}};
}

Conversion run_pass(const Checkpoint& checkpoint, const ConvertArguments& arguments, const CalibrationText* text,
                    const ConversionJob& job) {
  SweepProgress progress = terminal_progress();
  progress.expect("convert");
  progress.start("convert", "convert by " + arguments.method);
  std::vector<Conversion> conversions =
      convert_all(checkpoint, precision_of(arguments.model), text, {job}, [&](const EvidenceProgress& done) {
        throw_if_interrupted();
        progress.update(done.fraction);
      });
  progress.finish();
  return std::move(conversions.front());
}

void report(const ConvertArguments& arguments, const nlohmann::json& metadata) {
  if (arguments.as_json) {
    fmt::print("{}\n", metadata.dump(2));
    return;
  }
  fmt::print("{}: {} {}\n", arguments.out, arguments.method, metadata["shape"].get<std::string>());
  for (const auto& [phase, seconds] : metadata["seconds"].items()) {
    fmt::print("  {:<12} {:>8.2f} s\n", phase, seconds.get<double>());
  }
  fmt::print("  {:<12} {:>8.0f} MiB\n", "peak memory", metadata["peak_memory_bytes"].get<double>() / (1 << 20));
}

int convert(const ConvertArguments& arguments) {
  handle_interrupts();
  use_data_folder(arguments.data_folder);
  const ConverterRegistry::Entry& entry = ConverterRegistry::instance().find(arguments.method);
  const nlohmann::json options = parse_settings(arguments.settings);
  const nlohmann::json adjust = parse_settings(arguments.adjustments);
  const std::shared_ptr<const Converter> converter =
      adjusted(entry.create(options), parse_options<AdjustmentOptions>("--adjust", adjust));
  const bool needs_text = converter->calibration().needs_text;
  const std::filesystem::path path = resolve_model_path(arguments.model.model);
  const std::unique_ptr<Checkpoint> checkpoint = open_checkpoint(path);
  const LlamaConfig& config = checkpoint->config();
  const MoeShape shape = choose_shape(arguments, *converter, config);
  if (needs_text) check_calibration(arguments, config);
  refuse_to_replace_model(path, "--out", arguments.out);
  { const AtomicFile can_be_written(arguments.out); }  // before minutes of work, not after

  std::optional<CalibrationText> text;
  if (needs_text) text = read_calibration(arguments, *load_tokenizer(path, config));
  ConversionJob job{.converter = converter.get(), .shape = shape, .seed = arguments.seed};
  job.metadata = {{"method", arguments.method},
                  {"options", entry.resolve(options)},
                  {"adjust", adjust},
                  {"source", checkpoint->content_hash()},
                  {"calibration", text ? describe_calibration(arguments, *text) : nlohmann::json()}};
  const Conversion conversion = run_pass(*checkpoint, arguments, text ? &*text : nullptr, job);
  save_conversion(conversion, arguments.out);
  report(arguments, conversion.metadata);
  return 0;
}

}  // namespace

namespace {

std::string adjustment_help() {
  std::string text;
  for (const OptionDescription& option : describe_options<AdjustmentOptions>()) {
    text += fmt::format("  {:<18} {} (default {})\n", option.name, option.help, option.default_value);
  }
  return text;
}

}  // namespace

std::function<int()> define_convert(CLI::App& command) {
  auto arguments = std::make_shared<ConvertArguments>();
  add_model_option(command, arguments->model);
  command.add_option("--method", arguments->method, "see moebench methods")->required()->type_name("NAME");
  CLI::Option_group* size = command.add_option_group("size", "how much of the feed-forward network a token uses");
  size->add_option("--shape", arguments->shape, "8 experts, 3 shared and 3 of the other 5 active: S3A3E8")
      ->type_name("S3A3E8");
  size->add_option("--active-ratio", arguments->active_ratio,
                   "the method's own layout at this share of active neurons, above 0 to 1");
  size->require_option(1);
  command.add_option("--set", arguments->settings, "an option of the method; repeatable")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  command
      .add_option("--adjust", arguments->adjustments,
                  "switch something on after the method, as compensation=least_squares; repeatable, see below")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  command.add_option("--calibration", arguments->texts, "texts to calibrate on, each a domain: files, or known names")
      ->type_name("FILE");
  command
      .add_option("--windows", arguments->windows,
                  fmt::format("random windows of each text; all together at most {} tokens", kMaxCalibrationTokens))
      ->check(CLI::Range(int64_t{1}, kMaxCalibrationTokens))
      ->capture_default_str();
  command.add_option("--window", arguments->window, "tokens of a window")
      ->check(CLI::Range(int64_t{2}, kMaxCalibrationTokens))
      ->capture_default_str();
  // Up to where JSON's numbers are exact.
  command.add_option("--seed", arguments->seed, "of the windows and of the method")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 53))
      ->capture_default_str();
  add_precision_options(command, arguments->model);
  command.add_option("--out", arguments->out, "the conversion file to write (safetensors)")
      ->required()
      ->type_name("FILE");
  add_data_option(command, arguments->data_folder);
  command.add_flag("--json", arguments->as_json, "report for machines");
  command.footer(
      "--adjust works on every method:\n" + adjustment_help() +
      "\n  moebench convert --model smollm2-135m --method cmoe --shape S3A3E8 --calibration wiki-passages-train "
      "--out cmoe.safetensors");
  return [arguments] { return convert(*arguments); };
}

}  // namespace moebench
