// convert, eval, inspect, methods and tasks: from a dense model to measured numbers, and what is refused on the way.
#include <algorithm>
#include <fstream>

#include "results/result_store.h"
#include "tests/commands/command_fixture.h"

namespace moebench {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

class ModelCommandsTest : public CommandFixture {
 protected:
  // random_split S1A2E4 written to conversion.safetensors.
  std::vector<std::string> convert(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments = {
        "convert",   "--model", "model",    "--method", "random_split", "--calibration",         "text.txt",
        "--windows", "2",       "--window", "32",       "--out",        "conversion.safetensors"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  // The same with another value of one of these options.
  std::vector<std::string> convert_with(const std::string& option, const std::string& value) const {
    std::vector<std::string> arguments = convert({"--shape", "S1A2E4"});
    *(std::find(arguments.begin(), arguments.end(), option) + 1) = value;
    return arguments;
  }

  std::vector<std::string> eval(const std::string& tasks, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments = {"eval", "--model", "model", "--tasks", tasks};
    for (const char* task : {"perplexity", "activated_parameters", "expert_load"}) {
      if (tasks.find(task) == std::string::npos) continue;
      for (const char* setting : {"text=text.txt", "window=64", "max_windows=2"}) {
        arguments.insert(arguments.end(), {"--set", std::string(task) + "." + setting});
      }
    }
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  static double value(const json& result, const std::string& metric) {
    for (const json& task : result["tasks"]) {
      for (const json& each : task["metrics"]) {
        if (each["name"] == metric) return each["value"];
      }
    }
    ADD_FAILURE() << metric << " is missing";
    return 0;
  }
};

TEST_F(ModelCommandsTest, EvalMeasuresWhatIsAsked) {
  const json result = json::parse(output(eval("perplexity,activated_parameters", {"--json"})));
  EXPECT_GT(value(result, "text/gptq-64/ppl"), 1);
  EXPECT_EQ(value(result, "activated_parameters/all"), value(result, "total_parameters"));
  EXPECT_EQ(result["tasks"][0]["options"]["protocol"], "gptq");
  EXPECT_THAT(output(eval("perplexity")), HasSubstr("text/gptq-64/ppl"));
}

TEST_F(ModelCommandsTest, AConversionIsWrittenInspectedAndMeasured) {
  output(convert({"--shape", "S1A2E4"}));
  const json inspected = json::parse(output({"inspect", "conversion.safetensors", "--json"}));
  EXPECT_EQ(inspected["kind"], "conversion");
  EXPECT_EQ(inspected["method"], "random_split");
  EXPECT_EQ(inspected["shape"], "S1A2E4");
  EXPECT_THAT(inspected["layers"]["0-1"], AllOf(HasSubstr("3 experts of 24 neurons"), HasSubstr("top 2")));

  const std::vector<std::string> on_conversion = {"--json", "--conversion", "conversion.safetensors"};
  const json measured = json::parse(output(eval("perplexity,activated_parameters,expert_load", on_conversion)));
  EXPECT_EQ(value(measured, "active_ffn_share"), 0.75);
  EXPECT_EQ(value(measured, "activated_parameters/measured"), value(measured, "activated_parameters/all"));
  EXPECT_GE(value(measured, "expert_load/entropy"), 0);

  const json oracle = json::parse(
      output(eval("activated_parameters", {"--json", "--oracle", "--conversion", "conversion.safetensors"})));
  EXPECT_LT(value(oracle, "activated_parameters/all"), value(measured, "activated_parameters/all"));
}

TEST_F(ModelCommandsTest, TheSameSeedGivesTheSameExperts) {
  const auto experts = [&](const char* seed) {
    output(convert({"--active-ratio", "0.5", "--seed", seed}));
    return output(eval("perplexity", {"--conversion", "conversion.safetensors"}));
  };
  const std::string first = experts("1");
  EXPECT_EQ(experts("1"), first);
  EXPECT_NE(experts("2"), first);
}

TEST_F(ModelCommandsTest, ConvertRefusesWhatDoesNotFit) {
  EXPECT_THAT(sentence(2, convert({"--shape", "S1A2E7"})), HasSubstr("7 experts do not share out 96 neurons evenly"));
  EXPECT_THAT(sentence(2, convert({"--shape", "many"})), HasSubstr("shape 'many'"));
  EXPECT_THAT(sentence(2, convert({"--shape", "S1A2E4", "--set", "ruoter=zero"})), HasSubstr("did you mean 'router'?"));
  EXPECT_THAT(sentence(2, convert({"--shape", "S1A2E4", "--active-ratio", "0.5"})), HasSubstr("--help"));
  EXPECT_THAT(sentence(2, convert({})), HasSubstr("--help"));
  folder_.write("text.txt", "short");
  EXPECT_THAT(sentence(2, convert({"--shape", "S1A2E4"})), HasSubstr("calibration text text: the text has 5 tokens"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "conversion.safetensors"));
}

TEST_F(ModelCommandsTest, ConvertRefusesMoreTextThanMemoryHolds) {
  EXPECT_THAT(sentence(2, convert_with("--windows", "600000")),
              HasSubstr("--windows 600000: of 32 tokens from each of 1 texts are more than 16777216 tokens"));
  EXPECT_THAT(sentence(2, convert_with("--windows", "99999999999999999999")), HasSubstr("--windows"));
  EXPECT_THAT(sentence(2, convert_with("--window", "513")),
              HasSubstr("--window 513: is longer than the model's 512 positions"));
  EXPECT_THAT(output({"convert", "--help"}), HasSubstr("at most 16777216 tokens"));
}

TEST_F(ModelCommandsTest, ConvertRefusesNumbersThatItCannotMean) {
  for (const char* seed : {"-1", "9223372036854775808", "18446744073709551616"}) {
    EXPECT_THAT(sentence(2, convert({"--shape", "S1A2E4", "--seed", seed})), HasSubstr("--seed")) << seed;
  }
  for (const char* ratio : {"nan", "0", "-0.5", "1.5", "inf"}) {
    EXPECT_THAT(sentence(2, convert({"--active-ratio", ratio})), HasSubstr("must lie above 0 and not above 1"))
        << ratio;
  }
}

TEST_F(ModelCommandsTest, ConvertDoesNotReplaceItsInputs) {
  std::filesystem::create_symlink("model/model.safetensors", folder_ / "link.safetensors");
  std::filesystem::create_hard_link(folder_ / "text.txt", folder_ / "hard.txt");
  const std::string weights = read_file(folder_ / "model/model.safetensors");
  for (const char* out : {"text.txt", "./text.txt", "hard.txt", "model/model.safetensors", "model/new.safetensors",
                          "model/config.json", "link.safetensors"}) {
    EXPECT_THAT(sentence(2, convert_with("--out", out)), HasSubstr(std::string("--out ") + out + ": is ")) << out;
  }
  EXPECT_EQ(read_file(folder_ / "model/model.safetensors"), weights);
  EXPECT_EQ(read_file(folder_ / "text.txt"), sample_text());
}

TEST_F(ModelCommandsTest, ReportDoesNotReplaceItsDatabase) {
  { ResultStore store(folder_ / "results.sqlite", ResultStore::Mode::kReadWrite); }
  const std::string database = read_file(folder_ / "results.sqlite");
  EXPECT_THAT(sentence(2, {"report", "--db", "results.sqlite", "--output", "./results.sqlite"}),
              HasSubstr("--output ./results.sqlite: is the input results.sqlite"));
  EXPECT_EQ(read_file(folder_ / "results.sqlite"), database);
}

TEST_F(ModelCommandsTest, PathsThatTheSystemRefusesAreRefusedInOurWords) {
  std::filesystem::create_symlink("circle", folder_ / "circle");
  folder_.write("tiny.toml", "name = \"tiny\"\n[model]\npath = \"model\"\n[[tasks]]\nname = \"perplexity\"\n");
  for (const std::string& path : {std::string("circle"), std::string(5000, 'x')}) {
    for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
             {"inspect", path}, eval("perplexity", {"--data", path}), {"plan", "tiny.toml", "--db", path}}) {
      EXPECT_THAT(sentence(2, arguments), AllOf(HasSubstr(path), Not(HasSubstr("filesystem error"))));
    }
  }
  EXPECT_THAT(sentence(2, {"plan", "model"}), HasSubstr("model: is not a regular file"));
}

TEST_F(ModelCommandsTest, ATokenizerWithIdsThatTheModelLacksIsRefused) {
  const auto with_token = [&](int id) {
    json tokenizer = tiny_tokenizer_json();
    tokenizer["added_tokens"].push_back({{"id", id}, {"content", "<extra>"}});
    folder_.write("model/tokenizer.json", tokenizer.dump());
  };
  with_token(263);
  output(eval("perplexity"));
  with_token(264);
  for (const auto& arguments : {eval("perplexity"), convert({"--shape", "S1A2E4"})}) {
    EXPECT_THAT(sentence(2, arguments), HasSubstr("ids up to 264, but the model has embeddings for 264"));
  }
}

TEST_F(ModelCommandsTest, NamesInFilesDoNotCommandTheTerminal) {
  json tokenizer = tiny_tokenizer_json();
  tokenizer["normalizer"] = {{"type", "\x1B[31mX"}};
  folder_.write("model/tokenizer.json", tokenizer.dump());
  EXPECT_THAT(sentence(2, eval("perplexity")), HasSubstr("normalizer: type '?[31mX'"));
}

TEST_F(ModelCommandsTest, ConvertNamesTheNearestMethod) {
  EXPECT_THAT(
      sentence(2, {"convert", "--model", "model", "--method", "random_splt", "--shape", "S1A2E4", "--out", "c"}),
      HasSubstr("did you mean 'random_split'?"));
}

TEST_F(ModelCommandsTest, AReadOnlyFolderIsWorthAnotherTry) {
  EXPECT_THAT(sentence(75, convert_with("--out", "/proc/conversion.safetensors")),
              HasSubstr("/proc/conversion.safetensors: cannot be written"));
}

TEST_F(ModelCommandsTest, EvalNamesTheNearestTaskAndOption) {
  EXPECT_THAT(sentence(2, eval("perplexty")), HasSubstr("did you mean 'perplexity'?"));
  EXPECT_THAT(sentence(2, eval("perplexity", {"--set", "perplexity.windw=3"})), HasSubstr("did you mean 'window'?"));
  EXPECT_THAT(sentence(2, eval("perplexity", {"--set", "expert_load.window=3"})), HasSubstr("unknown task"));
  EXPECT_THAT(sentence(2, eval("perplexity", {"--oracle"})), HasSubstr("--conversion"));
}

TEST_F(ModelCommandsTest, EvalRefusesTextThatCannotBeMeasured) {
  folder_.write("text.txt", "caf\xE9");
  EXPECT_THAT(sentence(2, eval("perplexity")), AllOf(HasSubstr("text.txt"), HasSubstr("UTF-8")));
  folder_.write("text.txt", "");
  EXPECT_THAT(sentence(2, eval("perplexity")), HasSubstr("text.txt"));
  folder_.write("text.txt", "short");
  EXPECT_THAT(sentence(2, eval("perplexity")), HasSubstr("fewer than one window of 64"));
  std::filesystem::remove(folder_ / "text.txt");
  EXPECT_THAT(sentence(2, eval("perplexity")), HasSubstr("text.txt"));
}

TEST_F(ModelCommandsTest, TruncatedWeightsAreRefusedByFile) {
  const std::filesystem::path weights = folder_ / "model/model.safetensors";
  std::filesystem::resize_file(weights, std::filesystem::file_size(weights) - 100);
  EXPECT_THAT(sentence(2, eval("perplexity")), HasSubstr("model.safetensors"));
  EXPECT_THAT(sentence(2, {"inspect", "model"}), HasSubstr("model.safetensors"));
}

TEST_F(ModelCommandsTest, AConversionOfAnotherModelIsRefused) {
  output(convert({"--shape", "S1A2E4"}));
  write_tiny_checkpoint(folder_ / "model", {.num_layers = 3});
  EXPECT_THAT(sentence(2, eval("perplexity", {"--conversion", "conversion.safetensors"})),
              HasSubstr("conversion.safetensors: the conversion has 2 layers"));
  write_tiny_checkpoint(folder_ / "model", {.intermediate_size = 64});
  EXPECT_THAT(sentence(2, eval("perplexity", {"--conversion", "conversion.safetensors"})),
              AllOf(HasSubstr("conversion.safetensors: layer 0: "), HasSubstr("neurons holds neuron ")));
  write_tiny_checkpoint(folder_ / "model", {.seed = 2});
  EXPECT_THAT(sentence(2, eval("perplexity", {"--conversion", "conversion.safetensors"})),
              HasSubstr("metadata.source"));
}

TEST_F(ModelCommandsTest, InspectDescribesACheckpoint) {
  const json inspected = json::parse(output({"inspect", "model", "--json"}));
  EXPECT_EQ(inspected["kind"], "checkpoint");
  EXPECT_EQ(inspected["num_layers"], 2);
  // Two layers (attention, norms, feed-forward), the final norm and the tied embedding.
  EXPECT_EQ(inspected["parameters"], 2 * (2 * 64 * 64 + 2 * 32 * 64 + 2 * 64 + 3 * 64 * 96) + 64 + 264 * 64);
  EXPECT_THAT(output({"inspect", "model"}), HasSubstr("LlamaForCausalLM"));
}

TEST_F(ModelCommandsTest, InspectDescribesADatabase) {
  {
    ResultStore store(folder_ / "results.sqlite", ResultStore::Mode::kReadWrite);
    store.set_context({.cpu = "a", .os = "b", .machine_class = "c"}, {.git_commit = "d"});
    store.add({.uuid = "u", .cell_key = "k", .stage = "convert", .status = "failed", .error = "no luck"});
  }
  const json inspected = json::parse(output({"inspect", "results.sqlite", "--json"}));
  EXPECT_EQ(inspected["kind"], "database");
  EXPECT_EQ(inspected["runs"]["convert failed"], 1);
  EXPECT_EQ(inspected["failures"]["no luck"], 1);
}

TEST_F(ModelCommandsTest, InspectRefusesWhatItDoesNotKnow) {
  folder_.write("notes.bin", "hello");
  EXPECT_THAT(sentence(2, {"inspect", "notes.bin"}), HasSubstr("notes.bin: not a checkpoint"));
  folder_.write("short.safetensors", "1234");
  EXPECT_THAT(sentence(2, {"inspect", "short.safetensors"}), HasSubstr("short.safetensors"));
  EXPECT_THAT(sentence(2, {"inspect", "absent"}), HasSubstr("absent"));
}

TEST_F(ModelCommandsTest, MethodsAndTasksAreListedWithTheirOptions) {
  const json methods = json::parse(output({"methods", "--json"}));
  std::vector<std::string> names;
  for (const json& method : methods) names.push_back(method["name"]);
  EXPECT_THAT(names, testing::IsSupersetOf({"cmoe", "dense", "random_split", "static_pruning"}));
  EXPECT_THAT(output({"methods"}), HasSubstr("recipe published, stage router: "));
  EXPECT_THAT(output({"tasks"}), AllOf(HasSubstr("perplexity"), HasSubstr("window = 2048"),
                                       HasSubstr("[gptq, strided, llamacpp, c4-new]")));
}

}  // namespace
}  // namespace moebench
