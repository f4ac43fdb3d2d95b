#include <algorithm>
#include <set>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/evidence/evidence_pass.h"
#include "harness/model/moe_layer.h"
#include "methods/domain_affinity.h"
#include "methods/expert_samples.h"
#include "tests/methods/golden_arrays.h"
#include "tests/methods/layer_scene.h"
#include "tests/model/memory_checkpoint.h"

namespace moebench {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

// One layer and what it saw of as many domains as there are experts: nothing is mined.
struct DiveScene {
  GatedMlpWeights dense;
  std::vector<std::vector<at::Tensor>> samples;  // per domain, inputs [tokens, hidden_size]

  LayerConversion convert(const nlohmann::json& options, int64_t top_k, int64_t width) const {
    const auto num_domains = static_cast<int64_t>(samples.size());
    const MoeShape shape{0, top_k, num_domains, width};
    const std::unique_ptr<Converter> converter = make_converter("dive", options);
    CalibrationText text;
    for (const std::vector<at::Tensor>& of_domain : samples) {
      text.domains.push_back("d" + std::to_string(text.domains.size()));
      text.windows.push_back(at::zeros({std::ssize(of_domain), of_domain.front().size(0)}, at::kLong));
    }
    const MemoryCheckpoint checkpoint{tiny_llama_config()};
    const std::shared_ptr<const Preparation> preparation = converter->prepare({checkpoint, {}, &text, shape, 0, {}});
    const DenseLayer layer{0, dense};
    const auto observer = converter->observe_layer({.dense = layer,
                                                    .num_layers = 1,
                                                    .shape = shape,
                                                    .num_domains = num_domains,
                                                    .preparation = preparation.get()});
    for (int64_t domain = 0; domain < num_domains; ++domain) {
      for (const at::Tensor& inputs : samples[domain]) {
        const Window window(dense, inputs);
        observer->observe({inputs, window.gate, window.up, window.activations, window.residual, domain});
      }
    }
    return observer->convert(layer, shape);
  }
};

double largest_difference(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<double>(); }

// Names of the reference arrays, and the neurons that an expert keeps of 176.
const std::vector<std::pair<std::string, int64_t>> kPruned = {{"1_8", 154}, {"1_4", 132}, {"1_2", 88}};

class ReleasedDive : public testing::Test {
 protected:
  void SetUp() override {
    arrays_ = GoldenArrays::read("a3_dive");
    if (!arrays_) GTEST_SKIP() << "no reference outputs beside the repository (../shared/golden/methods)";
    scene_.dense = {array("wg"), array("wu"), array("wd")};
    for (const at::Tensor& domain : array("X").unbind(0)) scene_.samples.push_back(domain.unbind(0));
  }
  at::Tensor array(const std::string& name) const { return (*arrays_)[name]; }

  std::optional<GoldenArrays> arrays_;
  DiveScene scene_;
};

TEST_F(ReleasedDive, ExpertsKeepTheReleasedNeurons) {
  for (const auto& [name, width] : kPruned) {
    const LayerConversion conversion = scene_.convert({}, 1, width);
    ASSERT_THAT(conversion.experts, SizeIs(8));
    for (int64_t expert = 0; expert < 8; ++expert) {
      const at::Tensor kept = array("keep_" + name)[expert].nonzero().squeeze(1);
      EXPECT_TRUE(conversion.experts[expert].neurons.equal(kept)) << name << ", expert " << expert;
    }
  }
}

TEST_F(ReleasedDive, BiasesStandForTheDroppedNeurons) {
  for (const auto& [name, width] : kPruned) {
    const LayerConversion published = scene_.convert({}, 1, width);
    const LayerConversion exact = scene_.convert({{"bias_mean", "exact"}}, 1, width);
    for (int64_t expert = 0; expert < 8; ++expert) {
      const at::Tensor half = array("bias_fp16mean_" + name)[expert], full = array("bias_fp32mean_" + name)[expert];
      EXPECT_LT(largest_difference(*published.experts[expert].output_bias, half), 1e-6) << name;
      EXPECT_LT(largest_difference(*exact.experts[expert].output_bias, full), 1e-6) << name;
    }
  }
}

TEST_F(ReleasedDive, EachExpertGivesTheReleasedOutput) {
  for (const auto& [name, width] : kPruned) {
    const LayerConversion conversion = scene_.convert({}, 1, width);
    for (int64_t expert = 0; expert < 8; ++expert) {
      LayerConversion alone;
      alone.shared = conversion.experts[expert];
      const at::Tensor output = MoeLayer(scene_.dense, alone).forward(array("x_test"));
      EXPECT_LT(largest_difference(output, array("expert_out_" + name)[expert]), 1e-5) << name << ", " << expert;
    }
  }
}

TEST_F(ReleasedDive, BlockRoutesAndMixesAsReleased) {
  for (const int64_t top_k : {1, 2, 4}) {
    LayerConversion conversion = scene_.convert({}, top_k, 88);
    conversion.router.tensors["weight"] = array("router_w");
    const MoeLayer layer(scene_.dense, conversion);
    const std::string name = "moe_k" + std::to_string(top_k);
    const Routing routing = layer.route(array("x_test"));
    EXPECT_TRUE(routing.experts.equal(array(name + "_idx"))) << name;
    EXPECT_LT(largest_difference(routing.weights, array(name + "_w")), 1e-6) << name;
    EXPECT_LT(largest_difference(layer.forward(array("x_test")), array(name + "_out")), 1e-5) << name;
  }
}

class DiveTest : public testing::Test {
 protected:
  DiveTest() {
    for (uint64_t domain = 0; domain < 4; ++domain) scene_.samples.push_back(random_windows(3, 30, 16, domain + 1));
  }
  DiveScene scene_{random_mlp(48, 16, 9), {}};
};

TEST_F(DiveTest, ExpertsThatKeepEveryNeuronAreTheDenseLayer) {
  const at::Tensor hidden = random_windows(1, 20, 16, 77).front();
  for (int64_t top_k = 1; top_k <= 4; ++top_k) {
    const at::Tensor output = MoeLayer(scene_.dense, scene_.convert({}, top_k, 48)).forward(hidden);
    EXPECT_LT(largest_difference(output, GatedMlp(scene_.dense).forward(hidden)), 1e-5) << top_k;
  }
}

TEST_F(DiveTest, TextbookExpertsKeepTheNeuronsThatVaryMost) {
  const LayerConversion conversion = scene_.convert({{"estimator", "textbook"}}, 1, 20);
  for (size_t expert = 0; expert < 4; ++expert) {
    const at::Tensor h = Window(scene_.dense, at::cat(scene_.samples[expert])).activations.to(at::kDouble);
    const at::Tensor importance = h.var(0) * scene_.dense.down_proj.to(at::kDouble).square().sum(0);
    const at::Tensor kept = std::get<0>(std::get<1>(importance.topk(20)).sort());
    EXPECT_TRUE(conversion.experts[expert].neurons.equal(kept)) << expert;
  }
}

TEST_F(DiveTest, WindowsAreCutIntoSamples) {
  const LayerConversion of_windows = scene_.convert({{"sample_tokens", 10}}, 1, 20);
  for (std::vector<at::Tensor>& domain : scene_.samples) domain = at::cat(domain).view({9, 10, 16}).unbind(0);
  const LayerConversion of_samples = scene_.convert({}, 1, 20);
  for (size_t expert = 0; expert < 4; ++expert) {
    EXPECT_TRUE(of_windows.experts[expert].neurons.equal(of_samples.experts[expert].neurons)) << expert;
    EXPECT_TRUE(of_windows.experts[expert].output_bias->equal(*of_samples.experts[expert].output_bias)) << expert;
  }
}

TEST_F(DiveTest, RouterStartsWithinTheDefaultBound) {
  const at::Tensor weight = scene_.convert({}, 1, 20).router.tensors.at("weight");
  ASSERT_THAT(weight.sizes(), ElementsAre(4, 16));
  EXPECT_LE(weight.abs().max().item<double>(), 0.25);
  EXPECT_GT(weight.std().item<double>(), 0.25 / 3) << "of a uniform one it is 0.25 / sqrt(3)";
}

// Five domains of random words on a tiny model.
class MiningTest : public testing::Test {
 protected:
  MiningTest() {
    for (uint64_t seed = 0; seed < 5; ++seed) {
      text_.domains.push_back("d" + std::to_string(seed));
      text_.windows.push_back(at::randint(67, {6, 40}, at::detail::createCPUGenerator(seed), at::kLong));
    }
  }

  Conversion convert(const nlohmann::json& options, const MoeShape& shape) const {
    const auto converter = make_converter("dive", options);
    return convert_all(checkpoint_, {}, &text_, {{.converter = converter.get(), .shape = shape}}).front();
  }

  const MemoryCheckpoint checkpoint_{tiny_llama_config()};
  CalibrationText text_;
};

TEST_F(MiningTest, ClustersFollowFromThePerplexitiesAsTheOptionsSay) {
  struct Case {
    nlohmann::json options;
    bool transposed = false;
    DomainDistance distance = DomainDistance::kCorrelation;
    Linkage linkage = Linkage::kAverage;
  };
  std::set<nlohmann::json> different;
  for (const Case& expected : {Case{{}}, Case{{{"affinity", "evaluation"}}, true},
                               Case{{{"distance", "euclidean"}}, false, DomainDistance::kEuclidean},
                               Case{{{"linkage", "complete"}}, false, DomainDistance::kCorrelation, Linkage::kComplete},
                               Case{{{"linkage", "single"}}, false, DomainDistance::kCorrelation, Linkage::kSingle}}) {
    const nlohmann::json notes = convert(expected.options, {0, 1, 2, 12}).layers.front().notes;
    at::Tensor perplexities = at::empty({5, 5}, at::kDouble);
    for (int64_t row = 0; row < 5; ++row) {
      perplexities[row] = at::tensor(notes.at("perplexities").at(row).get<std::vector<double>>(), at::kDouble);
    }
    const at::Tensor normalised = normalised_perplexities(perplexities);
    const at::Tensor distances = domain_distances(expected.transposed ? normalised.t() : normalised, expected.distance);
    nlohmann::json names = nlohmann::json::array();
    for (const std::vector<int64_t>& cluster : cluster_domains(distances, 2, expected.linkage)) {
      names.emplace_back();
      for (const int64_t domain : cluster) names.back().push_back("d" + std::to_string(domain));
    }
    EXPECT_EQ(notes.at("clusters"), names) << expected.options;
    different.insert(names);
  }
  EXPECT_GT(different.size(), 2u) << "else the options cannot be told apart";
}

TEST_F(MiningTest, ExpertOfAClusterIsPrunedWithItsText) {
  const Conversion mined = convert({}, {0, 1, 2, 12});
  const CalibrationText all = text_;
  for (size_t expert = 0; expert < 2; ++expert) {
    std::vector<at::Tensor> windows;
    for (const nlohmann::json& name : mined.layers.front().notes.at("clusters").at(expert)) {
      windows.push_back(all.windows.at(std::find(all.domains.begin(), all.domains.end(), name) - all.domains.begin()));
    }
    text_ = {.domains = {"cluster"}, .windows = {at::cat(windows)}};
    const Conversion alone = convert({}, {0, 1, 1, 12});
    for (size_t layer = 0; layer < 2; ++layer) {
      EXPECT_TRUE(mined.layers[layer].experts[expert].neurons.equal(alone.layers[layer].experts[0].neurons));
    }
  }
}

TEST_F(MiningTest, FewerDomainsThanExpertsArePrunedWithRandomMixtures) {
  EXPECT_EQ(convert({}, {0, 1, 6, 12}).layers.front().notes.at("clusters"), "random");
  EXPECT_EQ(convert({{"clusters", "random"}}, {0, 1, 2, 12}).layers.front().notes.at("clusters"), "random");
}

TEST_F(MiningTest, DomainThatIsTooShortIsNamed) {
  text_.windows[1] = text_.windows[1].narrow(0, 0, 1);
  for (const char* clusters : {"mined", "random"}) {
    EXPECT_THAT(
        [&] {
          convert({{"clusters", clusters}}, {0, 1, 5, 12});
        },
        testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr("domain 'd1' has 1 samples")))
        << clusters;
  }
}

TEST(ExpertSamplesTest, ClustersGetAllSamplesOfTheirDomains) {
  EXPECT_THAT(samples_of_clusters({{0, 2}, {1}}, {2, 1, 1}),
              ElementsAre(ElementsAre(0), ElementsAre(0), ElementsAre(1), ElementsAre(0)));
}

TEST(ExpertSamplesTest, ShorterLastPieceCounts) {
  const CalibrationText text{.domains = {"a", "b"},
                             .windows = {at::zeros({2, 40}, at::kLong), at::zeros({3, 32}, at::kLong)}};
  EXPECT_THAT(count_samples(text, 16), ElementsAre(6, 6));
}

TEST(ExpertSamplesTest, MixturesAreEqualSharesWithoutRepeats) {
  const ExpertsOfSample experts = random_mixtures(40, 4, 2, 7);
  std::vector<int64_t> num_samples(4);
  for (const std::vector<int64_t>& of_sample : experts) {
    EXPECT_EQ(std::set<int64_t>(of_sample.begin(), of_sample.end()).size(), of_sample.size());
    for (const int64_t expert : of_sample) ++num_samples[expert];
  }
  EXPECT_THAT(num_samples, testing::Each(10));
  EXPECT_EQ(random_mixtures(40, 4, 2, 7), experts);
  EXPECT_NE(random_mixtures(40, 4, 2, 8), experts);
}

TEST(ExpertSamplesTest, MixturesAreNotTooSmallToPruneWith) {
  std::vector<int64_t> num_samples(8);
  for (const std::vector<int64_t>& of_sample : random_mixtures(4, 8, 2, 0)) {
    for (const int64_t expert : of_sample) ++num_samples[expert];
  }
  EXPECT_THAT(num_samples, testing::Each(2));
}

TEST(DiveLayoutTest, LayoutsAreThePublishedOnes) {
  const LlamaConfig config{.intermediate_size = 5632};  // TinyLlama's
  EXPECT_EQ(make_converter("dive")->shape_for(0.5, config), (MoeShape{0, 1, 8, 2816}));
  EXPECT_EQ(make_converter("dive", {{"layout", "2of8"}})->shape_for(0.5, config), (MoeShape{0, 2, 8, 1408}));
}

TEST(DiveLayoutTest, RouterIsTrainedAloneFirst) {
  for (const auto& [layout, temperature] : {std::pair{"1of8", 0.05}, std::pair{"2of8", 0.5}}) {
    const RetrainRecipe recipe = make_converter("dive", {{"layout", layout}})->retrain_recipe();
    ASSERT_THAT(recipe, SizeIs(2));
    EXPECT_TRUE(recipe[0].visit_all && recipe[0].router && !recipe[0].norms);
    EXPECT_EQ(recipe[0].experts, Training::kFrozen);
    EXPECT_EQ(recipe[0].temperature, temperature);
    EXPECT_FALSE(recipe[1].visit_all);
    EXPECT_TRUE(recipe[1].router && recipe[1].norms);
    EXPECT_DOUBLE_EQ(recipe[0].token_share + recipe[1].token_share, 1);
    for (const RetrainStage& stage : recipe) EXPECT_EQ(stage.attention, Training::kFrozen);
  }
}

}  // namespace
}  // namespace moebench
