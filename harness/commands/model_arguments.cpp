#include "harness/commands/model_arguments.h"

#include <stdexcept>

#include <ATen/Context.h>
#include <fmt/format.h>

#include "harness/model/moe_layer.h"
#include "harness/model/weight.h"

namespace moebench {

void add_model_option(CLI::App& command, ModelArguments& arguments) {
  command
      .add_option("--model", arguments.model,
                  "a Hugging Face folder (safetensors), a .gguf file, or a name that scripts/fetch knows")
      ->required()
      ->type_name("MODEL");
}

void add_precision_options(CLI::App& command, ModelArguments& arguments) {
  command.add_option("--dtype", arguments.dtype, "what to compute in")
      ->check(CLI::IsMember({"float32", "bfloat16"}))
      ->capture_default_str();
  command.add_option("--device", arguments.device, "where to compute")
      ->check(CLI::IsMember({"cpu", "cuda"}))
      ->capture_default_str();
}

void add_conversion_options(CLI::App& command, ModelArguments& arguments) {
  command.add_option("--conversion", arguments.conversion, "apply this file that convert wrote (default: dense)")
      ->type_name("FILE");
  command.add_flag("--oracle", arguments.use_oracle_router,
                   "route the conversion's experts by their true output: what a perfect router would give");
}

Precision precision_of(const ModelArguments& arguments) {
  if (arguments.device == "cuda" && !at::hasCUDA()) {
    throw std::invalid_argument("--device cuda: this libtorch has no GPU to compute on; use --device cpu");
  }
  return {.dtype = dtype_named(arguments.dtype),
          .device = at::Device(arguments.device == "cuda" ? at::kCUDA : at::kCPU)};
}

namespace {

// Indices into other weights would be applied without a word, and measured.
void check_fits(const Conversion& conversion, const ModelArguments& arguments, const Checkpoint& checkpoint) {
  const LlamaConfig& config = checkpoint.config();
  try {
    check_conversion(conversion, config.num_layers, config.intermediate_size, config.hidden_size);
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(arguments.conversion + ": " + error.what());
  }
  const auto source = conversion.metadata.find("source");
  if (source == conversion.metadata.end() || *source == checkpoint.content_hash()) return;
  throw std::invalid_argument(
      fmt::format("{}: metadata.source: made from weights {}, but {} has {}; give the --model that it "
                  "was made from, or convert this one",
                  arguments.conversion, source->dump(), arguments.model, checkpoint.content_hash()));
}

}  // namespace

std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& model_path, const LlamaConfig& config) {
  std::unique_ptr<Tokenizer> tokenizer = Tokenizer::load(model_path);
  if (tokenizer->vocab_size() > config.vocab_size) {
    throw std::runtime_error(
        fmt::format("{}: the tokenizer has ids up to {}, but the model has embeddings for {} (vocab_size); give both "
                    "from one model",
                    model_path.string(), tokenizer->vocab_size() - 1, config.vocab_size));
  }
  return tokenizer;
}

Conversion load_fitting_conversion(const ModelArguments& arguments, const Checkpoint& checkpoint) {
  Conversion conversion = load_conversion(arguments.conversion);
  check_fits(conversion, arguments, checkpoint);
  return conversion;
}

LoadedModel load_model(const ModelArguments& arguments) {
  if (arguments.use_oracle_router && arguments.conversion.empty()) {
    throw std::invalid_argument("--oracle chooses among a conversion's experts; give the conversion with --conversion");
  }
  const Precision precision = precision_of(arguments);
  const std::filesystem::path path = resolve_model_path(arguments.model);
  std::unique_ptr<Checkpoint> checkpoint = open_checkpoint(path);
  std::unique_ptr<Tokenizer> tokenizer = load_tokenizer(path, checkpoint->config());
  std::optional<Conversion> conversion;
  if (!arguments.conversion.empty()) {
    conversion = load_fitting_conversion(arguments, *checkpoint);
    if (arguments.use_oracle_router) conversion = with_oracle_router(*conversion);
  }
  LlamaModel model = LlamaModel::load(*checkpoint, precision);
  if (conversion) apply_conversion(*conversion, model);
  return {std::move(checkpoint), std::move(tokenizer), std::move(conversion), std::move(model)};
}

}  // namespace moebench
