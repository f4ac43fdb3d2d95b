// inspect: what a checkpoint, a conversion or a database holds.
#include <fstream>
#include <map>
#include <memory>

#include <fmt/format.h>

#include "harness/checkpoint/checkpoint.h"
#include "harness/commands/commands.h"
#include "harness/conversion.h"
#include "harness/model/parameter_count.h"
#include "harness/text/tokenizer.h"
#include "results/result_store.h"

namespace moebench {
namespace {

using Description = nlohmann::ordered_json;

Description describe_checkpoint(const std::filesystem::path& path) {
  const std::unique_ptr<Checkpoint> checkpoint = open_checkpoint(path);
  const std::unique_ptr<Tokenizer> tokenizer = Tokenizer::load(path);
  const LlamaConfig& config = checkpoint->config();
  const int64_t feed_forward = config.num_layers * dense_feed_forward_counts(config).stored();
  const int64_t attention = attention_and_norm_parameters(config);
  const int64_t embedding = embedding_parameters(config);
  return {{"kind", "checkpoint"},
          {"path", path.string()},
          {"architecture", config.architecture},
          {"hidden_size", config.hidden_size},
          {"intermediate_size", config.intermediate_size},
          {"num_layers", config.num_layers},
          {"num_attention_heads", config.num_attention_heads},
          {"num_key_value_heads", config.num_key_value_heads},
          {"head_dim", config.head_dim},
          {"vocab_size", config.vocab_size},
          {"max_position_embeddings", config.max_position_embeddings},
          {"rope_theta", config.rope_theta},
          {"tie_word_embeddings", config.tie_word_embeddings},
          {"tensors", checkpoint->names().size()},
          {"parameters", feed_forward + attention + embedding},
          {"parameters_feed_forward", feed_forward},
          {"parameters_attention_and_norms", attention},
          {"parameters_embedding_and_head", embedding},
          {"tokenizer_vocab_size", tokenizer->vocab_size()},
          {"weights_hash", checkpoint->content_hash()},
          {"tokenizer_hash", tokenizer->content_hash()}};
}

const char* router_name(RouterKind kind) {
  switch (kind) {
    case RouterKind::kLinear:
      return "linear";
    case RouterKind::kGatedRows:
      return "gated rows";
    case RouterKind::kTanhMlp:
      return "tanh MLP";
    case RouterKind::kOracle:
      return "oracle";
    case RouterKind::kStatic:
      return "static";
    case RouterKind::kQuadratic:
      return "quadratic";
  }
  return "unknown";
}

int64_t num_neurons(const ExpertSpec& expert) {
  return expert.own_weights ? expert.own_weights->gate_proj.size(0) : expert.neurons.numel();
}

std::string describe_layer(const LayerConversion& layer) {
  if (layer.keep_dense) return "dense";
  std::map<int64_t, int64_t> experts_of_width;
  for (const ExpertSpec& expert : layer.experts) ++experts_of_width[num_neurons(expert)];
  std::string text;
  for (const auto& [width, count] : experts_of_width) text += fmt::format("{} experts of {} neurons, ", count, width);
  if (layer.shared) text += fmt::format("{} neurons shared, ", num_neurons(*layer.shared));
  if (layer.shared && layer.shared->top_neurons > 0) {
    text += fmt::format("{} of them active, ", layer.shared->top_neurons);
  }
  if (layer.rule.visits == RoutingRule::Visits::kTopK) {
    text += fmt::format("top {}", layer.top_k);
  } else {
    text += fmt::format("{:.2f} experts a token on average", layer.mean_visits);
  }
  return text + fmt::format(", {} router", router_name(layer.router.kind));
}

// Neighbours that are alike share a line: {"0-29": "5 experts of 192 neurons, ..."}.
Description describe_layers(const std::vector<LayerConversion>& layers) {
  Description ranges = Description::object();
  for (size_t first = 0; first < layers.size();) {
    const std::string text = describe_layer(layers[first]);
    size_t last = first;
    while (last + 1 < layers.size() && describe_layer(layers[last + 1]) == text) ++last;
    ranges[first == last ? std::to_string(first) : fmt::format("{}-{}", first, last)] = text;
    first = last + 1;
  }
  return ranges;
}

Description describe_conversion(const std::filesystem::path& path) {
  const Conversion conversion = load_conversion(path);
  Description description = {{"kind", "conversion"}, {"path", path.string()}};
  for (const auto& [name, value] : conversion.metadata.items()) description[name] = value;
  description["layers"] = describe_layers(conversion.layers);
  return description;
}

Description describe_database(const std::filesystem::path& path) {
  Description description = {{"kind", "database"}, {"path", path.string()}};
  description.update(ResultStore(path, ResultStore::Mode::kReadOnly).summary());
  return description;
}

Description describe(const std::string& argument) {
  const std::filesystem::path path = argument;
  std::error_code ignored;
  if (std::filesystem::is_regular_file(path, ignored)) {
    std::string magic(15, '\0');
    std::ifstream(path, std::ios::binary).read(magic.data(), static_cast<std::streamsize>(magic.size()));
    if (magic == "SQLite format 3") return describe_database(path);
    if (path.extension() == ".safetensors") return describe_conversion(path);
    if (!magic.starts_with("GGUF")) {
      throw std::runtime_error(argument + ": not a checkpoint (a folder or .gguf), a conversion (.safetensors) or a " +
                               "results database");
    }
  }
  return describe_checkpoint(resolve_model_path(argument));
}

std::string plain(const Description& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

void print_text(const Description& description) {
  for (const auto& [name, value] : description.items()) {
    if (!value.is_object()) {
      fmt::print("{:<30} {}\n", name, plain(value));
      continue;
    }
    fmt::print("{}\n", name);
    for (const auto& [key, inner] : value.items()) fmt::print("  {:<28} {}\n", key, plain(inner));
  }
}

}  // namespace

std::function<int()> define_inspect(CLI::App& command) {
  struct Arguments {
    std::string path;
    bool as_json = false;
  };
  auto arguments = std::make_shared<Arguments>();
  command
      .add_option("path", arguments->path,
                  "a checkpoint (folder, .gguf or known name), a conversion file or a database")
      ->required()
      ->type_name("PATH");
  command.add_flag("--json", arguments->as_json, "for machines");
  return [arguments] {
    const Description description = describe(arguments->path);
    arguments->as_json ? fmt::print("{}\n", description.dump(2)) : print_text(description);
    return 0;
  };
}

}  // namespace moebench
