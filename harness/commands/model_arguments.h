// --model, --conversion and the like: what most commands begin with.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>

#include "harness/checkpoint/checkpoint.h"
#include "harness/conversion.h"
#include "harness/model/llama.h"
#include "harness/text/tokenizer.h"

namespace moebench {

struct ModelArguments {
  std::string model;
  std::string conversion;  // "" = the dense model
  bool use_oracle_router = false;
  std::string dtype = "float32";
  std::string device = "cpu";
};

void add_model_option(CLI::App& command, ModelArguments& arguments);
void add_conversion_options(CLI::App& command, ModelArguments& arguments);  // --conversion and --oracle
void add_precision_options(CLI::App& command, ModelArguments& arguments);   // --dtype and --device

// Throws std::invalid_argument for a GPU that is not there.
Precision precision_of(const ModelArguments& arguments);

struct LoadedModel {
  std::unique_ptr<Checkpoint> checkpoint;
  std::unique_ptr<Tokenizer> tokenizer;
  std::optional<Conversion> conversion;
  LlamaModel model;  // with the conversion applied
};

// The tokenizer of a model. Throws std::runtime_error if it has ids that the model has no embedding for.
std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& model_path, const LlamaConfig& config);

// The conversion that the arguments name, which they must. Throws std::invalid_argument if it was not made from this
// checkpoint.
Conversion load_fitting_conversion(const ModelArguments& arguments, const Checkpoint& checkpoint);

// Throws as the readers of its parts do.
LoadedModel load_model(const ModelArguments& arguments);

}  // namespace moebench
