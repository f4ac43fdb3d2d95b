// moebench_random_checkpoint: writes a random model of a given shape, tensor by tensor, as sharded bf16 safetensors
// with config.json and a byte-level tokenizer.json. For measuring what does not depend on the weights' values.
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "harness/atomic_file.h"
#include "harness/checkpoint/expected_tensors.h"
#include "harness/checkpoint/safetensors_header.h"
#include "tests/fixtures/tiny_checkpoint.h"

namespace moebench {
namespace {

constexpr double kStandardDeviation = 0.02;  // Llama's initializer_range
constexpr int64_t kShardBytes = int64_t{4} << 30;

// The published configurations, as far as they matter to the shape.
const std::map<std::string, nlohmann::json>& known_shapes() {
  static const std::map<std::string, nlohmann::json> shapes = {
      {"tiny",
       {{"hidden_size", 64},
        {"intermediate_size", 96},
        {"num_hidden_layers", 2},
        {"num_attention_heads", 4},
        {"num_key_value_heads", 2},
        {"vocab_size", 264},
        {"max_position_embeddings", 2048},
        {"tie_word_embeddings", true}}},
      {"llama-3.2-1b",
       {{"hidden_size", 2048},
        {"intermediate_size", 8192},
        {"num_hidden_layers", 16},
        {"num_attention_heads", 32},
        {"num_key_value_heads", 8},
        {"vocab_size", 128256},
        {"max_position_embeddings", 131072},
        {"rope_theta", 500000.0},
        {"rope_scaling",
         {{"rope_type", "llama3"},
          {"factor", 32.0},
          {"low_freq_factor", 1.0},
          {"high_freq_factor", 4.0},
          {"original_max_position_embeddings", 8192}}},
        {"tie_word_embeddings", true}}},
      {"llama-2-7b",
       {{"hidden_size", 4096},
        {"intermediate_size", 11008},
        {"num_hidden_layers", 32},
        {"num_attention_heads", 32},
        {"num_key_value_heads", 32},
        {"vocab_size", 32000},
        {"max_position_embeddings", 4096},
        {"tie_word_embeddings", false}}},
  };
  return shapes;
}

uint64_t split_mix(uint64_t& state) {  // Steele, Lea and Flood 2014
  state += 0x9E3779B97F4A7C15;
  uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

// Normally distributed bf16 numbers: 16 random bits choose one of 65536 equally likely quantiles.
class NormalSource {
 public:
  explicit NormalSource(uint64_t seed) : state_(seed) {
    const at::Tensor probabilities = (at::arange(65536, at::kDouble) + 0.5) / 65536;
    const at::Tensor quantiles = (at::special_ndtri(probabilities) * kStandardDeviation).to(at::kBFloat16);
    quantiles_.resize(65536);
    std::memcpy(quantiles_.data(), quantiles.const_data_ptr(), quantiles.nbytes());
  }

  void fill(std::vector<uint16_t>& values) {
    constexpr int64_t kBlock = 1 << 16;
    const auto size = static_cast<int64_t>(values.size());
    const uint64_t seed = split_mix(state_);
    at::parallel_for(0, (size + kBlock - 1) / kBlock, 1, [&](int64_t begin, int64_t end) {
      for (int64_t block = begin; block < end; ++block) {
        uint64_t state = seed ^ static_cast<uint64_t>(block) << 40;
        fill_block(values.data() + block * kBlock, std::min(kBlock, size - block * kBlock), split_mix(state));
      }
    });
  }

 private:
  void fill_block(uint16_t* values, int64_t count, uint64_t state) const {
    uint64_t bits = 0;
    for (int64_t i = 0; i < count; ++i, bits >>= 16) {
      if (i % 4 == 0) bits = split_mix(state);
      values[i] = quantiles_[bits & 0xFFFF];
    }
  }

  uint64_t state_;
  std::vector<uint16_t> quantiles_;
};

int64_t num_elements(const std::vector<int64_t>& shape) {
  int64_t elements = 1;
  for (const int64_t size : shape) elements *= size;
  return elements;
}

void write_tensor(AtomicFile& file, const SafetensorsEntry& entry, NormalSource& source) {
  constexpr int64_t kChunk = 8 << 20;
  const bool is_norm = entry.name.ends_with("norm.weight");
  std::vector<uint16_t> values;
  for (int64_t left = num_elements(entry.shape); left > 0; left -= static_cast<int64_t>(values.size())) {
    values.assign(static_cast<size_t>(std::min(left, kChunk)), c10::BFloat16(1.0f).x);
    if (!is_norm) source.fill(values);
    file.write({reinterpret_cast<const char*>(values.data()), values.size() * sizeof(uint16_t)});
  }
}

// Tensors in order, a new shard whenever the next one would not fit.
std::vector<std::vector<SafetensorsEntry>> make_shards(const LlamaConfig& config) {
  std::vector<std::vector<SafetensorsEntry>> shards(1);
  int64_t bytes = 0;
  for (const ExpectedTensor& tensor : expected_tensors(config)) {
    const int64_t size = 2 * num_elements(tensor.shape);
    if (bytes > 0 && bytes + size > kShardBytes) {
      shards.emplace_back();
      bytes = 0;
    }
    shards.back().push_back({tensor.name, at::kBFloat16, tensor.shape});
    bytes += size;
  }
  return shards;
}

void write_json(const std::filesystem::path& path, const nlohmann::json& json) {
  AtomicFile file(path);
  file.write(json.dump(2) + "\n");
  file.commit();
}

void write_checkpoint(const std::filesystem::path& folder, nlohmann::json config, uint64_t seed) {
  config.update({{"architectures", {"LlamaForCausalLM"}}, {"rms_norm_eps", 1e-5}, {"torch_dtype", "bfloat16"}});
  std::filesystem::create_directories(folder);
  write_json(folder / "config.json", config);
  write_json(folder / "tokenizer.json", tiny_tokenizer_json());
  NormalSource source(seed);
  nlohmann::json weight_map;
  int64_t total_size = 0;
  auto shards = make_shards(read_hf_config(folder / "config.json"));
  for (size_t shard = 0; shard < shards.size(); ++shard) {
    char name[64];
    std::snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", shard + 1, shards.size());
    AtomicFile file(folder / name);
    file.write(make_safetensors_header(shards[shard], {{"format", "pt"}}));
    for (const SafetensorsEntry& entry : shards[shard]) {
      write_tensor(file, entry, source);
      weight_map[entry.name] = name;
      total_size += 2 * num_elements(entry.shape);
    }
    file.commit();
    std::fprintf(stderr, "%s\n", name);
  }
  write_json(folder / "model.safetensors.index.json",
             {{"metadata", {{"total_size", total_size}}}, {"weight_map", weight_map}});
}

}  // namespace
}  // namespace moebench

int main(int argc, char** argv) {
  CLI::App app("Writes a random checkpoint of a given shape as bf16 safetensors.");
  std::string shape = "tiny", out;
  uint64_t seed = 0;
  std::map<std::string, int64_t> sizes;
  std::vector<std::string> names;
  for (const auto& [name, config] : moebench::known_shapes()) names.push_back(name);
  app.add_option("--shape", shape, "named shape")->check(CLI::IsMember(names))->capture_default_str();
  for (const char* field : {"hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
                            "num_key_value_heads", "vocab_size"}) {
    std::string option = "--" + std::string(field);
    std::replace(option.begin(), option.end(), '_', '-');
    app.add_option_function<int64_t>(
        option, [&sizes, field](int64_t size) { sizes[field] = size; }, "instead of the named shape's");
  }
  app.add_option("--seed", seed, "of the weights")->capture_default_str();
  app.add_option("--out", out, "folder to create")->required();
  CLI11_PARSE(app, argc, argv);
  try {
    nlohmann::json config = moebench::known_shapes().at(shape);
    for (const auto& [field, size] : sizes) config[field] = size;
    moebench::write_checkpoint(out, config, seed);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "moebench_random_checkpoint: %s\n", error.what());
    return 2;
  }
}
