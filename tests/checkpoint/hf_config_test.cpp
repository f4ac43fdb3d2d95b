#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "harness/checkpoint/llama_config.h"
#include "tests/fixtures/refusal.h"
#include "tests/fixtures/temporary_folder.h"

namespace moebench {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

// Llama-3.2-1B's, shortened.
json llama() {
  return {{"architectures", {"LlamaForCausalLM"}},
          {"hidden_size", 2048},
          {"intermediate_size", 8192},
          {"num_hidden_layers", 16},
          {"num_attention_heads", 32},
          {"num_key_value_heads", 8},
          {"vocab_size", 128256},
          {"max_position_embeddings", 131072},
          {"rms_norm_eps", 1e-5},
          {"rope_theta", 500000.0},
          {"eos_token_id", {128001, 128008, 128009}},
          {"tie_word_embeddings", true},
          {"torch_dtype", "bfloat16"}};
}

json llama3_scaling() {
  return {{"rope_type", "llama3"},
          {"factor", 32.0},
          {"low_freq_factor", 1.0},
          {"high_freq_factor", 4.0},
          {"original_max_position_embeddings", 8192}};
}

class HfConfigTest : public testing::Test {
 protected:
  LlamaConfig read(const json& config) const { return read_hf_config(folder_.write("config.json", config.dump())); }

  // What is said of the Llama config with these fields changed; null removes one.
  std::string refusal_with(const json& change) const {
    json config = llama();
    config.update(change);
    const std::string message = refusal([&] { read(config); });
    EXPECT_THAT(message, testing::AnyOf("accepted", HasSubstr("config.json: ")));
    return message;
  }

  LlamaConfig read_with(const json& change) const {
    json config = llama();
    config.update(change);
    return read(config);
  }

  TemporaryFolder folder_;
};

TEST_F(HfConfigTest, ReadsALlama) {
  const LlamaConfig config = read(llama());
  EXPECT_EQ(config.architecture, "LlamaForCausalLM");
  EXPECT_EQ(config.hidden_size, 2048);
  EXPECT_EQ(config.intermediate_size, 8192);
  EXPECT_EQ(config.num_layers, 16);
  EXPECT_EQ(config.num_attention_heads, 32);
  EXPECT_EQ(config.num_key_value_heads, 8);
  EXPECT_EQ(config.head_dim, 64);
  EXPECT_EQ(config.vocab_size, 128256);
  EXPECT_EQ(config.max_position_embeddings, 131072);
  EXPECT_EQ(config.rms_norm_eps, 1e-5);
  EXPECT_EQ(config.rope_theta, 500000);
  EXPECT_TRUE(config.tie_word_embeddings);
  EXPECT_FALSE(config.attention_bias || config.qk_norm || config.sliding_window || config.rope_scaling);
}

TEST_F(HfConfigTest, MissingFieldsHaveTransformersDefaults) {
  const LlamaConfig config = read_with({{"num_key_value_heads", nullptr},
                                        {"head_dim", nullptr},
                                        {"rms_norm_eps", nullptr},
                                        {"rope_theta", nullptr},
                                        {"tie_word_embeddings", nullptr}});
  EXPECT_EQ(config.num_key_value_heads, 32);
  EXPECT_EQ(config.head_dim, 64);
  EXPECT_EQ(config.rms_norm_eps, 1e-6);
  EXPECT_EQ(config.rope_theta, 10000);
  EXPECT_FALSE(config.tie_word_embeddings);
}

TEST_F(HfConfigTest, HeadDimMayDifferFromTheEvenShare) { EXPECT_EQ(read_with({{"head_dim", 128}}).head_dim, 128); }

TEST_F(HfConfigTest, Llama3ScalingIsReadFromItsOldAndNewPlace) {
  json parameters = llama3_scaling();
  parameters["rope_theta"] = 250000.0;
  const LlamaConfig old_place = read_with({{"rope_scaling", llama3_scaling()}});
  const LlamaConfig new_place = read_with({{"rope_parameters", parameters}, {"rope_theta", nullptr}});
  EXPECT_EQ(old_place.rope_theta, 500000);
  EXPECT_EQ(new_place.rope_theta, 250000);
  for (const LlamaConfig& config : {old_place, new_place}) {
    ASSERT_TRUE(config.rope_scaling.has_value());
    EXPECT_EQ(config.rope_scaling->factor, 32);
    EXPECT_EQ(config.rope_scaling->low_freq_factor, 1);
    EXPECT_EQ(config.rope_scaling->high_freq_factor, 4);
    EXPECT_EQ(config.rope_scaling->original_max_position_embeddings, 8192);
  }
  EXPECT_FALSE(read_with({{"rope_parameters", {{"rope_type", "default"}, {"rope_theta", 1e6}}}}).rope_scaling);
}

TEST_F(HfConfigTest, OtherRopeScalingIsRefusedByName) {
  for (const char* type : {"yarn", "linear", "dynamic", "longrope"}) {
    for (const char* key : {"rope_type", "type"}) {
      EXPECT_THAT(refusal_with({{"rope_scaling", {{key, type}, {"factor", 2.0}}}}),
                  HasSubstr("rope_type '" + std::string(type) + "' is not supported"));
    }
  }
  json incomplete = llama3_scaling();
  incomplete.erase("low_freq_factor");
  EXPECT_THAT(refusal_with({{"rope_scaling", incomplete}}), HasSubstr("rope_scaling.low_freq_factor is missing"));
  json inverted = llama3_scaling();
  inverted["high_freq_factor"] = 0.5;
  EXPECT_THAT(refusal_with({{"rope_scaling", inverted}}), HasSubstr("rope_scaling.high_freq_factor must be above"));
}

TEST_F(HfConfigTest, RopeFieldsAreNamedByTheirPlace) {
  for (const std::string place : {"rope_scaling", "rope_parameters"}) {
    json scaling = llama3_scaling();
    scaling["factor"] = -1;
    EXPECT_THAT(refusal_with({{place, scaling}}), HasSubstr(": " + place + ".factor must be a positive number"));
    scaling["factor"] = "much";
    EXPECT_THAT(refusal_with({{place, scaling}}), HasSubstr(": " + place + ".factor is no number"));
  }
}

TEST_F(HfConfigTest, Qwen2HasBiasAndQwen3HasHeadNorms) {
  const LlamaConfig qwen2 = read_with({{"architectures", {"Qwen2ForCausalLM"}}});
  EXPECT_TRUE(qwen2.attention_bias);
  EXPECT_FALSE(qwen2.qk_norm);
  const LlamaConfig qwen3 = read_with({{"architectures", {"Qwen3ForCausalLM"}}});
  EXPECT_FALSE(qwen3.attention_bias);
  EXPECT_TRUE(qwen3.qk_norm);
  EXPECT_EQ(qwen3.head_dim, 128);
  EXPECT_TRUE(read_with({{"attention_bias", true}}).attention_bias);
}

TEST_F(HfConfigTest, SlidingWindowIsTheArchitecturesOwnAffair) {
  const auto window = [&](const char* architecture, json change) {
    change["architectures"] = {architecture};
    change["sliding_window"] = 4096;
    return read_with(change).sliding_window;
  };
  EXPECT_EQ(window("LlamaForCausalLM", {}), std::nullopt);
  EXPECT_EQ(window("MistralForCausalLM", {}), 4096);
  EXPECT_EQ(window("Qwen2ForCausalLM", {}), std::nullopt);
  EXPECT_EQ(window("Qwen2ForCausalLM", {{"use_sliding_window", true}, {"max_window_layers", 16}}), std::nullopt);
  EXPECT_EQ(window("Qwen2ForCausalLM", {{"use_sliding_window", true}, {"max_window_layers", 0}}), 4096);
  EXPECT_EQ(window("Qwen3ForCausalLM",
                   {{"use_sliding_window", true}, {"layer_types", std::vector<std::string>(16, "sliding_attention")}}),
            4096);
  EXPECT_EQ(read_with({{"architectures", {"MistralForCausalLM"}}, {"sliding_window", nullptr}}).sliding_window,
            std::nullopt);
  EXPECT_THAT(refusal_with({{"architectures", {"Qwen2ForCausalLM"}},
                            {"sliding_window", 4096},
                            {"use_sliding_window", true},
                            {"max_window_layers", 8}}),
              HasSubstr("some layers only"));
}

TEST_F(HfConfigTest, WhatIsNotComputedIsRefusedByName) {
  EXPECT_THAT(refusal_with({{"architectures", {"GemmaForCausalLM"}}}), HasSubstr("\"GemmaForCausalLM\" is not read"));
  EXPECT_THAT(refusal_with({{"architectures", nullptr}}), HasSubstr("architectures"));
  EXPECT_THAT(refusal_with({{"mlp_bias", true}}), HasSubstr("mlp_bias"));
  EXPECT_THAT(refusal_with({{"hidden_act", "gelu"}}), HasSubstr("hidden_act = 'gelu'"));
  EXPECT_THAT(refusal_with({{"partial_rotary_factor", 0.5}}), HasSubstr("partial_rotary_factor"));
  EXPECT_THAT(refusal_with({{"quantization_config", {{"bits", 4}}}}), HasSubstr("quantization_config"));
}

TEST_F(HfConfigTest, ImpossibleSizesAreRefusedByField) {
  EXPECT_THAT(refusal_with({{"hidden_size", nullptr}}), HasSubstr("hidden_size is missing"));
  EXPECT_THAT(refusal_with({{"hidden_size", 0}}), HasSubstr("hidden_size is 0"));
  EXPECT_THAT(refusal_with({{"hidden_size", -5}}), HasSubstr("hidden_size is -5"));
  EXPECT_THAT(refusal_with({{"hidden_size", 2048.5}}), HasSubstr("hidden_size is no whole number"));
  EXPECT_THAT(refusal_with({{"hidden_size", "2048"}}), HasSubstr("hidden_size is no whole number"));
  EXPECT_THAT(refusal_with({{"intermediate_size", 1LL << 60}}), HasSubstr("intermediate_size"));
  EXPECT_THAT(refusal_with({{"vocab_size", 18446744073709551615ULL}}), HasSubstr("vocab_size"));
  EXPECT_THAT(refusal_with({{"num_hidden_layers", 1 << 30}}), HasSubstr("num_hidden_layers is 1073741824"));
  EXPECT_THAT(refusal_with({{"num_attention_heads", 0}}), HasSubstr("num_attention_heads"));
  EXPECT_THAT(refusal_with({{"num_key_value_heads", 5}}), HasSubstr("no multiple of num_key_value_heads = 5"));
  EXPECT_THAT(refusal_with({{"head_dim", 63}}), HasSubstr("head_dim = 63 is odd"));
  EXPECT_THAT(refusal_with({{"rms_norm_eps", 0}}), HasSubstr("rms_norm_eps"));
  EXPECT_THAT(refusal_with({{"rope_theta", -1}}), HasSubstr("rope_theta"));
}

TEST_F(HfConfigTest, WhatIsNotAJsonObjectIsRefused) {
  const auto refusal_of = [&](std::string_view text) {
    return refusal([&] { read_hf_config(folder_.write("config.json", text)); });
  };
  EXPECT_THAT(refusal_of(""), HasSubstr("config.json: is empty"));
  EXPECT_THAT(refusal_of("{\"hidden_size\": 20"), HasSubstr("config.json: is not JSON"));
  EXPECT_THAT(refusal_of("[1]"), HasSubstr("config.json: is not a JSON object"));
  EXPECT_THAT(refusal_of("{\"a\": \"\xFF\"}"), HasSubstr("config.json: is not JSON in UTF-8"));
  EXPECT_THAT(refusal_of("{\"a\": 1, \"a\": 2}"), HasSubstr("key \"a\" occurs twice"));
  EXPECT_THAT(refusal_of("{\"a\": 1e999}"), HasSubstr("out of range"));
  EXPECT_THAT(refusal_of("{\"a\":" + std::string(100000, '[')), HasSubstr("nested too deep"));
  EXPECT_THAT(refusal([&] { read_hf_config(folder_ / "absent.json"); }), HasSubstr("absent.json: cannot be read"));
}

}  // namespace
}  // namespace moebench
