// DIVE on SmolLM2-135M against ../shared/golden/methods (table "DIVE on SmolLM2"): 35 samples of 256 tokens of each
// domain, the last three held out.
#include <cmath>
#include <filesystem>

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "harness/evidence/evidence_pass.h"
#include "harness/model/moe_layer.h"
#include "harness/scoring/window_scorer.h"
#include "harness/text/corpus.h"
#include "harness/text/python_random.h"
#include "methods/domain_perplexity.h"
#include "tests/methods/golden_arrays.h"
#include "tests/methods/layer_scene.h"
#include "tests/model/smollm2.h"

namespace moebench {
namespace {

class DiveSmollm2Test : public testing::Test {
 protected:
  void SetUp() override {
    checkpoint_ = open_smollm2();
    if (!checkpoint_) GTEST_SKIP() << "no SmolLM2-135M; scripts/fetch fetches it";
    masks_ = GoldenArrays::read("b_dive_smollm2_masks");
    if (!masks_ || !std::filesystem::exists(data())) {
      GTEST_SKIP() << "no reference outputs beside the repository (../shared/golden/methods)";
    }
    tokenizer_ = Tokenizer::load(resolve_model_path("smollm2-135m"));
  }

  static std::filesystem::path data() { return std::filesystem::path(MOEBENCH_SHARED_DIR) / "data" / "calib_dive"; }

  // The reference's samples: documents shuffled by Python's random.seed(42), end to end. [35, 256].
  at::Tensor samples(const std::string& domain) const {
    std::vector<std::string> documents = read_corpus(data() / (domain + ".jsonl")).documents;
    PythonRandom random(42);
    for (int64_t last = std::ssize(documents) - 1; last > 0; --last) {
      std::swap(documents[last], documents[random.randint(0, last)]);
    }
    std::vector<int64_t> ids;
    for (size_t next = 0; std::ssize(ids) < 35 * 256; ++next) {
      const std::vector<int32_t> of_document = tokenizer_->encode(documents.at(next));
      ids.insert(ids.end(), of_document.begin(), of_document.end());
    }
    ids.resize(35 * 256);
    return at::tensor(ids, at::kLong).view({35, 256});
  }

  // Four of the reference's experts: three of a domain each, and that of the cluster of wikitext2, whose eight domains
  // share its 32 samples.
  CalibrationText four_clusters() const {
    std::vector<at::Tensor> wiki;
    for (const char* domain : {"boolq", "coqa", "drop", "logiqa", "mrpc", "rte", "squad2", "wikitext2"}) {
      wiki.push_back(samples(domain).narrow(0, 0, 4));
    }
    CalibrationText text{.domains = {"hellaswag", "sst2", "winogrande", "wiki"}};
    for (int64_t domain = 0; domain < 3; ++domain) {
      text.windows.push_back(samples(text.domains[domain]).narrow(0, 0, 32));
    }
    text.windows.push_back(at::cat(wiki));
    return text;
  }

  // WikiText-2 test, the first five blocks, every token by one expert.
  double perplexity(const Conversion& conversion, int64_t expert) const {
    const at::NoGradGuard no_grad;
    Conversion alone;
    for (const LayerConversion& layer : conversion.layers) {
      alone.layers.emplace_back().shared = layer.experts.at(expert);
    }
    LlamaModel model = LlamaModel::load(*checkpoint_, {});
    apply_conversion(alone, model);
    std::vector<ScoreRequest> requests;
    for (const std::vector<int64_t>& block : read_wikitext2_blocks(2048, 5)) requests.push_back({.ids = block});
    double sum = 0;
    for (const TokenScores& scores : score(model, requests)) sum -= scores.sum();
    const double perplexity = std::exp(sum / (5 * 2047));
    RecordProperty("perplexity", std::to_string(perplexity));
    return perplexity;
  }

  // Of the neurons that the reference's expert (from 0) keeps, the share that ours keeps too.
  double agreement(const std::string& name, int64_t reference, const Conversion& conversion, int64_t expert) const {
    int64_t kept = 0, both = 0;
    for (size_t layer = 0; layer < conversion.layers.size(); ++layer) {
      const at::Tensor bytes = (*masks_)[name][reference][static_cast<int64_t>(layer)];
      const at::Tensor bits = bytes.unsqueeze(1).bitwise_right_shift(at::arange(7, -1, -1)).bitwise_and(1).view(-1);
      kept += bits.sum().item<int64_t>();
      both += bits.index_select(0, conversion.layers[layer].experts[expert].neurons).sum().item<int64_t>();
    }
    return static_cast<double>(both) / static_cast<double>(kept);
  }

  std::unique_ptr<Checkpoint> checkpoint_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::optional<GoldenArrays> masks_;
};

struct ReleasedLayout {
  std::string masks;
  int64_t width;
  double perplexity;  // of the wiki expert alone, made with bf16 products
};

class DiveLayouts : public DiveSmollm2Test, public testing::WithParamInterface<ReleasedLayout> {};

INSTANTIATE_TEST_SUITE_P(Released, DiveLayouts,
                         testing::Values(ReleasedLayout{"keep_1of8_keep50", 768, 160.385},
                                         ReleasedLayout{"keep_2of8_keep25", 384, 2073.664}),
                         [](const auto& info) { return info.param.masks; });

// The reference's statistics were made with bf16 products: neurons at the cut change places.
TEST_P(DiveLayouts, ExpertsAreTheReleasedOnes) {
  const CalibrationText text = four_clusters();
  const auto converter = make_converter("dive");
  const Conversion conversion =
      convert_all(*checkpoint_, {}, &text, {{.converter = converter.get(), .shape = {0, 1, 4, GetParam().width}}})
          .front();
  const std::vector<int64_t> references = {0, 6, 7, 5};  // of the eight, in the order of the clusters' labels
  for (int64_t expert = 0; expert < 4; ++expert) {
    EXPECT_GT(agreement(GetParam().masks, references[expert], conversion, expert), 0.99) << text.domains[expert];
  }
  EXPECT_NEAR(perplexity(conversion, 3), GetParam().perplexity, 0.03 * GetParam().perplexity);
}

TEST_F(DiveSmollm2Test, PrunedModelsHaveTheReferencePerplexities) {
  CalibrationText text{.domains = {"hellaswag", "sst2", "winogrande"}};
  for (const std::string& domain : text.domains) text.windows.push_back(samples(domain));
  const Precision precision;
  const MoeShape shape{0, 1, 2, 768};
  const at::Tensor perplexities = domain_perplexities({*checkpoint_, precision, &text, shape, 0, {}},
                                                      {.pruning = {.half_precision_mean = true}, .num_kept = 768});
  const at::Tensor expected = at::tensor({68.3494, 707.5784, 346.3235,   //
                                          196.3198, 417.3975, 415.1861,  //
                                          129.1433, 741.4385, 194.4028},
                                         at::kDouble);
  const at::Tensor differences = (perplexities.view(-1) / expected - 1).abs();
  EXPECT_LT(differences.max().item<double>(), 0.03) << perplexities;
}

}  // namespace
}  // namespace moebench
