#include "harness/evidence/evidence_pass.h"

#include <chrono>
#include <fstream>
#include <stdexcept>

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/model/moe_layer.h"
#include "tests/model/memory_checkpoint.h"

namespace moebench {
namespace {

struct SeenChunk {
  at::Tensor inputs, gate, up, activations, residual;
  int64_t domain;
};
using SeenLayers = std::vector<std::vector<SeenChunk>>;

// Keeps every third neuron, always on, and remembers what it saw.
class RecordingConverter : public Converter {
 public:
  explicit RecordingConverter(CalibrationRequest request) : request_(request) {}

  MoeShape shape_for(double, const LlamaConfig&) const override { return {}; }
  void check_shape(const MoeShape&, const LlamaConfig&) const override {}
  CalibrationRequest calibration() const override { return request_; }

  std::unique_ptr<LayerObserver> observe_layer(const LayerContext& context) const override {
    seeds.push_back(context.seed);
    seen.emplace_back();
    return std::make_unique<Observer>(*this);
  }

  mutable SeenLayers seen;
  mutable std::vector<uint64_t> seeds;

 private:
  class Observer : public LayerObserver {
   public:
    explicit Observer(const RecordingConverter& owner) : owner_(owner) {}
    void observe(const FfnChunk& chunk) override {
      owner_.seen.back().push_back(
          {chunk.inputs, chunk.gate, chunk.up, chunk.activations, chunk.residual, chunk.domain});
    }
    LayerConversion convert(const DenseLayer& layer, const MoeShape&) override {
      LayerConversion conversion;
      conversion.shared = ExpertSpec{.neurons = at::arange(0, layer.weights.gate_proj.size(0), 3, at::kLong)};
      return conversion;
    }

   private:
    const RecordingConverter& owner_;
  };

  CalibrationRequest request_;
};

class EvidencePassTest : public testing::Test {
 protected:
  EvidencePassTest() {
    text_.domains = {"first", "second"};
    text_.windows = {at::randint(67, {3, 10}, at::kLong), at::randint(67, {1, 7}, at::kLong)};
  }

  std::vector<Conversion> convert(const std::vector<const Converter*>& converters, Precision precision = {}) const {
    std::vector<ConversionJob> jobs;
    for (const Converter* converter : converters) jobs.push_back({.converter = converter, .shape = {1, 0, 3, 16}});
    return convert_all(checkpoint_, precision, &text_, jobs);
  }

  // What each layer's FFN sees in a loaded model, window by window.
  void expect_seen(const SeenLayers& seen, const LlamaModel& model) const {
    const at::NoGradGuard no_grad;
    size_t index = 0;
    for (size_t domain = 0; domain < text_.windows.size(); ++domain) {
      for (const at::Tensor& ids : text_.windows[domain].split(1)) {
        at::Tensor residual = embed(checkpoint_, ids, {});
        for (const LlamaLayer& layer : model.layers()) {
          const SeenChunk& chunk = seen.at(layer.index()).at(index);
          const at::Tensor attended = layer.attend(residual), inputs = layer.feed_forward_input(attended)[0];
          const GatedMlpWeights& dense = layer.dense_weights();
          EXPECT_EQ(chunk.domain, static_cast<int64_t>(domain));
          EXPECT_TRUE(chunk.residual.allclose(attended[0], 1e-5, 1e-6));
          EXPECT_TRUE(chunk.inputs.allclose(inputs, 1e-5, 1e-5));
          EXPECT_TRUE(chunk.gate.allclose(at::linear(inputs, dense.gate_proj), 1e-4, 1e-5));
          EXPECT_TRUE(chunk.up.allclose(at::linear(inputs, dense.up_proj), 1e-4, 1e-5));
          EXPECT_TRUE(chunk.activations.allclose(at::silu(chunk.gate) * chunk.up, 1e-5, 1e-6));
          residual = layer.forward(residual);
        }
        ++index;
      }
    }
    for (const auto& chunks : seen) EXPECT_EQ(chunks.size(), index);
  }

  const MemoryCheckpoint checkpoint_{tiny_llama_config()};
  CalibrationText text_;
  const RecordingConverter dense_{{.propagation = Propagation::kDense}};
  const RecordingConverter converted_{{.propagation = Propagation::kConverted}};
  const RecordingConverter blind_{{.needs_text = false}};
};

TEST_F(EvidencePassTest, DenseStreamShowsEveryWindowOnceAsTheDenseModelSeesIt) {
  convert({&dense_});
  expect_seen(dense_.seen, LlamaModel::load(checkpoint_, {}));
}

TEST_F(EvidencePassTest, ConvertedStreamIsThatOfTheConvertedLayers) {
  const Conversion conversion = convert({&converted_}).front();
  LlamaModel model = LlamaModel::load(checkpoint_, {});
  apply_conversion(conversion, model);
  expect_seen(converted_.seen, model);
}

TEST_F(EvidencePassTest, JobsDoNotDisturbOneAnother) {
  const RecordingConverter alone{{.propagation = Propagation::kDense}}, beside{{.propagation = Propagation::kDense}};
  convert({&alone});
  convert({&converted_, &dense_, &blind_, &beside});
  for (size_t layer = 0; layer < alone.seen.size(); ++layer) {
    for (size_t chunk = 0; chunk < alone.seen[layer].size(); ++chunk) {
      EXPECT_TRUE(dense_.seen[layer][chunk].inputs.equal(alone.seen[layer][chunk].inputs));
      EXPECT_TRUE(beside.seen[layer][chunk].residual.equal(alone.seen[layer][chunk].residual));
    }
  }
  EXPECT_FALSE(converted_.seen[1][0].inputs.equal(alone.seen[1][0].inputs));
}

TEST_F(EvidencePassTest, DenseJobsShareOnePass) {
  const RecordingConverter other{{.propagation = Propagation::kDense}};
  convert({&dense_, &other});
  // The very same tensors, not equal ones.
  EXPECT_TRUE(dense_.seen[1][2].activations.is_same(other.seen[1][2].activations));
}

TEST_F(EvidencePassTest, JobsWithoutTextOnlySeeTheLayers) {
  const Conversion conversion =
      convert_all(checkpoint_, {}, nullptr, {{.converter = &blind_, .shape = {1, 0, 3, 16}, .seed = 7}}).front();
  EXPECT_THAT(blind_.seeds, testing::ElementsAre(7, 7));
  EXPECT_THAT(blind_.seen, testing::Each(testing::IsEmpty()));
  EXPECT_EQ(conversion.layers.size(), 2u);
}

TEST_F(EvidencePassTest, MissingTextIsRefused) {
  const auto refusal = testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr("--calibration"));
  EXPECT_THAT([&] { convert_all(checkpoint_, {}, nullptr, {{.converter = &dense_}}); }, refusal);
  const CalibrationText empty;
  EXPECT_THAT([&] { convert_all(checkpoint_, {}, &empty, {{.converter = &dense_}}); }, refusal);
}

TEST_F(EvidencePassTest, MetadataSaysShapeSeedAndTime) {
  const ConversionJob job{.converter = &dense_, .shape = {1, 0, 3, 16}, .seed = 5, .metadata = {{"method", "test"}}};
  const auto began = std::chrono::steady_clock::now();
  const nlohmann::json metadata = convert_all(checkpoint_, {}, &text_, {job}).front().metadata;
  const double passed = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  EXPECT_EQ(metadata.at("method"), "test");
  EXPECT_EQ(metadata.at("shape"), "S1A0E3");
  EXPECT_EQ(metadata.at("seed"), 5);
  double total = 0;
  for (const char* phase : {"load", "forward", "observe", "convert"}) {
    const double seconds = metadata.at("seconds").at(phase).get<double>();
    EXPECT_GT(seconds, 0) << phase;
    total += seconds;
  }
  EXPECT_LE(total, passed);
}

TEST_F(EvidencePassTest, PeakMemoryIsThatOfThePass) {
  if (!std::ofstream("/proc/self/clear_refs").is_open()) GTEST_SKIP() << "this kernel keeps the peak of all passes";
  constexpr int64_t kBytes = 256 << 20;
  const auto peak = [&](int64_t held_during_pass) {
    const std::vector<ConversionJob> jobs = {{.converter = &blind_, .shape = {1, 0, 3, 16}}};
    return convert_all(checkpoint_, {}, nullptr, jobs,
                       [&](const EvidenceProgress&) { at::ones({held_during_pass}, at::kByte); })
        .front()
        .metadata.at("peak_memory_bytes")
        .get<int64_t>();
  };
  const int64_t of_little = peak(1), of_much = peak(kBytes);
  EXPECT_GE(of_much, of_little + kBytes / 2);
  EXPECT_LE(peak(1), of_much - kBytes / 2) << "an earlier pass's is not inherited";
}

TEST_F(EvidencePassTest, ProgressGrowsWithEveryWindowAndLayer) {
  std::vector<double> fractions;
  std::vector<int64_t> layers;
  convert_all(checkpoint_, {}, &text_, {{.converter = &dense_, .shape = {1, 0, 3, 16}}},
              [&](const EvidenceProgress& progress) {
                EXPECT_EQ(progress.num_layers, 2);
                layers.push_back(progress.layers_done);
                fractions.push_back(progress.fraction);
              });
  // Four windows and then the layer, twice.
  EXPECT_THAT(layers, testing::ElementsAre(0, 0, 0, 0, 1, 1, 1, 1, 1, 2));
  EXPECT_THAT(fractions, testing::ElementsAre(0.125, 0.25, 0.375, 0.5, 0.5, 0.625, 0.75, 0.875, 1, 1));
}

TEST_F(EvidencePassTest, WhatProgressThrowsEndsThePass) {
  int calls = 0;
  EXPECT_THROW(convert_all(checkpoint_, {}, &text_, {{.converter = &converted_, .shape = {1, 0, 3, 16}}},
                           [&](const EvidenceProgress&) {
                             if (++calls == 3) throw std::runtime_error("stop");
                           }),
               std::runtime_error);
  EXPECT_EQ(calls, 3);
}

TEST_F(EvidencePassTest, ObserversSeeTheDtypeThatWasAskedFor) {
  convert({&converted_}, {.dtype = at::kBFloat16});
  EXPECT_EQ(converted_.seen[1][0].activations.scalar_type(), at::kBFloat16);
}

TEST_F(EvidencePassTest, RefusesTokensOutsideTheVocabulary) {
  text_.windows[1][0][0] = 67;
  EXPECT_THROW(convert({&dense_}), std::invalid_argument);
}

}  // namespace
}  // namespace moebench
