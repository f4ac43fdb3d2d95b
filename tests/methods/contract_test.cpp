// What every registered method promises. A new method is tested by being registered.
#include <functional>
#include <stdexcept>

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/evidence/evidence_pass.h"
#include "harness/model/moe_layer.h"
#include "tests/fixtures/temporary_folder.h"
#include "tests/methods/layer_scene.h"
#include "tests/model/memory_checkpoint.h"

namespace moebench {
namespace {

LlamaConfig test_config() {
  LlamaConfig config = tiny_llama_config();
  config.intermediate_size = 64;
  return config;
}

// A method with its options, on a tiny model.
class Subject {
 public:
  Subject(const std::string& method, const nlohmann::json& options)
      : converter(make_converter(method, options)), options(options) {
    text_.domains = {"text"};
    text_.windows = {at::randint(67, {4, 40}, at::detail::createCPUGenerator(1), at::kLong)};
  }

  // The first of the usual ratios that the method has a layout for.
  MoeShape published_shape() const {
    for (const double ratio : {0.75, 0.5, 0.25, 1.0}) {
      try {
        return converter->shape_for(ratio, checkpoint.config());
      } catch (const std::invalid_argument&) {
      }
    }
    ADD_FAILURE() << "no layout at any usual ratio";
    return {};
  }

  Conversion convert(uint64_t seed = 0, const Precision& precision = {}) const {
    return convert_all(checkpoint, precision, &text_,
                       {{.converter = converter.get(), .shape = published_shape(), .seed = seed}})
        .front();
  }

  at::Tensor final_hidden(const Conversion& conversion, const Precision& precision = {}) const {
    const at::NoGradGuard no_grad;
    LlamaModel model = LlamaModel::load(checkpoint, precision);
    apply_conversion(conversion, model);
    return model.forward(text_.windows[0].narrow(0, 0, 1));
  }

  const std::unique_ptr<Converter> converter;
  const nlohmann::json options;
  const MemoryCheckpoint checkpoint{test_config()};

 private:
  CalibrationText text_;
};

class MethodContract : public testing::TestWithParam<std::string> {
 protected:
  // With the defaults, and with each choice of each option.
  void for_each_variant(const std::function<void(const Subject&)>& check) const {
    check(Subject(GetParam(), nlohmann::json::object()));
    for (const OptionDescription& option : ConverterRegistry::instance().find(GetParam()).options) {
      for (const std::string& choice : option.choices) {
        SCOPED_TRACE(option.name + " = " + choice);
        check(Subject(GetParam(), {{option.name, choice}}));
      }
    }
  }

  // The bytes of the conversion's file, without what a clock says.
  std::string saved(Conversion conversion) const {
    conversion.metadata.erase("seconds");
    conversion.metadata.erase("peak_memory_bytes");
    save_conversion(conversion, file());
    return read_file(file());
  }
  std::filesystem::path file() const { return folder_ / "conversion.safetensors"; }

 private:
  const TemporaryFolder folder_;
};

INSTANTIATE_TEST_SUITE_P(Registered, MethodContract, testing::ValuesIn(ConverterRegistry::instance().names()),
                         [](const auto& info) { return info.param; });

int64_t width(const ExpertSpec& expert) {
  return expert.own_weights ? expert.own_weights->gate_proj.size(0) : expert.neurons.numel();
}

bool is_adaptive(const LayerConversion& layer) { return layer.rule.visits != RoutingRule::Visits::kTopK; }

// Neurons that a token uses; of experts of one width.
double active_neurons(const LayerConversion& layer) {
  if (layer.keep_dense) return 64;
  const double visits = is_adaptive(layer) ? layer.mean_visits : static_cast<double>(layer.top_k);
  double active = layer.experts.empty() ? 0 : visits * static_cast<double>(width(layer.experts.front()));
  if (layer.shared) {
    active += static_cast<double>(layer.shared->top_neurons > 0 ? layer.shared->top_neurons : width(*layer.shared));
  }
  return active;
}

// Every layer is as large as was asked for; or, where a method gives its layers different sizes, all of them together
// to half an expert a layer.
TEST_P(MethodContract, RequestedSizeComesOut) {
  for_each_variant([](const Subject& subject) {
    const MoeShape shape = subject.published_shape();
    ASSERT_NO_THROW(subject.converter->check_shape(shape, subject.checkpoint.config()));
    double sum = 0;
    bool differs = false;
    const std::vector<LayerConversion> layers = subject.convert().layers;
    for (const LayerConversion& layer : layers) {
      sum += active_neurons(layer);
      differs = differs || is_adaptive(layer) || active_neurons(layer) != active_neurons(layers.front());
      for (const ExpertSpec& expert : layer.experts) EXPECT_EQ(width(expert), shape.expert_intermediate_size);
      // Experts that nobody can visit need not be there.
      EXPECT_EQ(layer.experts.empty(), shape.top_k == 0 || layer.keep_dense);
    }
    const double tolerance = differs ? static_cast<double>(shape.expert_intermediate_size) / 2 : 0;
    EXPECT_NEAR(sum / static_cast<double>(layers.size()), static_cast<double>(shape.active_neurons()), tolerance);
  });
}

TEST_P(MethodContract, ShapesThatDoNotFitAreRefused) {
  const std::unique_ptr<Converter> converter = make_converter(GetParam());
  for (const MoeShape& shape : {MoeShape{0, 0, 8, 8}, MoeShape{1, 9, 8, 8}, MoeShape{2, 0, 1, 65}, MoeShape{1, 1, 7, 9},
                                MoeShape{-1, 1, 8, 8}, MoeShape{0, 1, 0, 64}}) {
    EXPECT_THROW(converter->check_shape(shape, test_config()), std::invalid_argument) << to_string(shape, 64);
  }
}

TEST_P(MethodContract, RatiosWithoutALayoutAreRefusedWithANearOne) {
  const std::unique_ptr<Converter> converter = make_converter(GetParam());
  for (const double ratio : {0.0, 0.3, 1.2, -1.0}) {
    EXPECT_THAT([&] { converter->shape_for(ratio, test_config()); },
                testing::ThrowsMessage<std::invalid_argument>(testing::ContainsRegex("nearest|only")))
        << ratio;
  }
}

TEST_P(MethodContract, SameSeedGivesTheSameBits) {
  for_each_variant([this](const Subject& subject) { EXPECT_EQ(saved(subject.convert(3)), saved(subject.convert(3))); });
}

TEST_P(MethodContract, ConversionFitsTheModelAndSurvivesItsFile) {
  for_each_variant([this](const Subject& subject) {
    const Conversion conversion = subject.convert();
    EXPECT_NO_THROW(check_conversion(conversion, 2, 64, 32));
    save_conversion(conversion, file());
    const at::Tensor hidden = subject.final_hidden(conversion);
    EXPECT_TRUE(hidden.isfinite().all().item<bool>());
    EXPECT_TRUE(subject.final_hidden(load_conversion(file())).equal(hidden));
  });
}

TEST_P(MethodContract, ConvertsInBrainFloat) {
  for_each_variant([](const Subject& subject) {
    const Precision precision{.dtype = at::kBFloat16};
    const Conversion conversion = subject.convert(0, precision);
    for (const LayerConversion& layer : conversion.layers) {
      for (const auto& [name, tensor] : layer.router.tensors) EXPECT_EQ(tensor.scalar_type(), at::kBFloat16) << name;
      if (layer.shared && layer.shared->down_proj) EXPECT_EQ(layer.shared->down_proj->scalar_type(), at::kBFloat16);
    }
    EXPECT_TRUE(subject.final_hidden(conversion, precision).isfinite().all().item<bool>());
  });
}

TEST_P(MethodContract, OracleRouterWorksOnItsExperts) {
  for_each_variant([](const Subject& subject) {
    EXPECT_TRUE(subject.final_hidden(with_oracle_router(subject.convert())).isfinite().all().item<bool>());
  });
}

// The expert as the method cut it, without what it fitted or trained.
ExpertSpec only_neurons(const ExpertSpec& expert) { return {.neurons = expert.neurons}; }

// Where the widths add up to the layer it is a partition: each neuron once, and all experts on with weight 1 are the
// dense layer. Methods that prune are not held to it, nor splits that share neurons, nor weights of an expert's own.
TEST_P(MethodContract, PartitionsCoverEveryNeuronOnceAndSumToDense) {
  for_each_variant([](const Subject& subject) {
    if (subject.options.value("split", "").starts_with("sharing_")) return;
    const Conversion conversion = subject.convert();
    for (int64_t index = 0; index < 2; ++index) {
      LayerConversion layer = conversion.layers.at(index);
      if (layer.keep_dense || (!layer.experts.empty() && layer.experts.front().own_weights)) continue;
      std::vector<at::Tensor> neurons;
      for (ExpertSpec& expert : layer.experts) neurons.push_back((expert = only_neurons(expert)).neurons);
      if (layer.shared) neurons.push_back((*layer.shared = only_neurons(*layer.shared)).neurons);
      const at::Tensor all = std::get<0>(at::cat(neurons).sort());
      if (all.numel() != 64) continue;
      EXPECT_TRUE(all.equal(at::arange(64, at::kLong)));
      layer.top_k = static_cast<int64_t>(layer.experts.size());
      layer.rule = {};
      const GatedMlpWeights dense = LlamaLayer::load(subject.checkpoint, index, {}).dense_weights();
      const at::Tensor hidden = random_windows(1, 20, 32, 6).front();
      const at::Tensor difference = MoeLayer(dense, layer).forward(hidden) - GatedMlp(dense).forward(hidden);
      EXPECT_LT(difference.abs().max().item<double>(), 1e-5);
    }
  });
}

TEST_P(MethodContract, UnknownOptionIsRefusedByName) {
  EXPECT_THAT(
      [&] {
        make_converter(GetParam(), {{"no_such_option", 1}});
      },
      testing::ThrowsMessage<std::invalid_argument>(
          testing::AllOf(testing::HasSubstr("no_such_option"), testing::HasSubstr(GetParam()))));
}

TEST(MethodRegistryTest, NamesAreListed) {
  EXPECT_THAT(
      ConverterRegistry::instance().names(),
      testing::UnorderedElementsAre("cmoe", "dense", "dive", "expertweaver", "ladimo", "least_squares_moe", "llama_moe",
                                    "llama_moe_v2", "random_split", "static_pruning", "topk_neurons"));
}

TEST(MethodRegistryTest, EverythingIsExplained) {
  for (const std::string& name : ConverterRegistry::instance().names()) {
    const auto& entry = ConverterRegistry::instance().find(name);
    EXPECT_FALSE(entry.summary.empty()) << name;
    for (const OptionDescription& option : entry.options) EXPECT_FALSE(option.help.empty()) << option.name;
  }
}

TEST(PublishedLayoutTest, CmoeHasThePapersShapes) {
  const LlamaConfig config{.intermediate_size = 1536};
  const auto shape = [&](double ratio) { return to_string(make_converter("cmoe")->shape_for(ratio, config), 1536); };
  EXPECT_EQ(shape(0.75), "S3A3E8");
  EXPECT_EQ(shape(0.5), "S1A3E8");
  EXPECT_EQ(shape(0.25), "S2A2E16");
  EXPECT_THROW(shape(1), std::invalid_argument);
}

TEST(PublishedLayoutTest, EveryLayoutIsActiveAtItsRatio) {
  const LlamaConfig config{.intermediate_size = 1536};
  for (const char* method : {"cmoe", "random_split", "static_pruning"}) {
    for (int64_t eighths = 1; eighths < 8; ++eighths) {
      const MoeShape shape = make_converter(method)->shape_for(static_cast<double>(eighths) / 8, config);
      EXPECT_EQ(shape.active_neurons(), 1536 * eighths / 8) << method;
      EXPECT_NO_THROW(make_converter(method)->check_shape(shape, config)) << method;
    }
  }
}

}  // namespace
}  // namespace moebench
