#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <vector>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/model/moe_layer.h"
#include "tests/methods/layer_scene.h"

namespace moebench {
namespace {

constexpr int64_t kNeurons = 48, kHidden = 8;
const MoeShape kHalf{4, 4, 16, 3};

class ExpertweaverTest : public testing::Test {
 protected:
  // Windows 0 and 3 are domain 0, 1 and 4 domain 1, ...
  LayerConversion weave(const nlohmann::json& options, int64_t num_domains = 3, const MoeShape& shape = kHalf) const {
    const DenseLayer layer{0, dense_};
    const std::unique_ptr<Converter> converter = make_converter("expertweaver", options);
    const std::unique_ptr<LayerObserver> observer =
        converter->observe_layer({.dense = layer, .num_layers = 1, .shape = shape, .num_domains = num_domains});
    for (size_t index = 0; index < windows_.size(); ++index) {
      const Window window(dense_, windows_[index]);
      FfnChunk chunk = window.chunk();
      chunk.domain = static_cast<int64_t>(index) % num_domains;
      observer->observe(chunk);
    }
    return observer->convert(layer, shape);
  }

  // [task][neuron] by plain loops: the mean of silu(gate) over all tokens of the task's windows.
  std::vector<std::vector<double>> profiles(int64_t num_tasks) const {
    std::vector<std::vector<double>> sums(num_tasks, std::vector<double>(kNeurons));
    std::vector<double> num_tokens(num_tasks);
    for (size_t index = 0; index < windows_.size(); ++index) {
      const size_t task = index % num_tasks;
      const at::Tensor gate = Window(dense_, windows_[index]).gate;
      for (int64_t token = 0; token < gate.size(0); ++token) {
        for (int64_t neuron = 0; neuron < kNeurons; ++neuron) {
          const double x = gate[token][neuron].item<double>();
          sums[task][neuron] += x / (1 + std::exp(-x));
        }
      }
      num_tokens[task] += static_cast<double>(gate.size(0));
    }
    for (int64_t task = 0; task < num_tasks; ++task) {
      for (double& sum : sums[task]) sum /= num_tokens[task];
    }
    return sums;
  }

  static std::vector<double> means_of(const std::vector<std::vector<double>>& profiles) {
    std::vector<double> means(kNeurons);
    for (const std::vector<double>& task : profiles) {
      for (int64_t neuron = 0; neuron < kNeurons; ++neuron) {
        means[neuron] += task[neuron] / static_cast<double>(profiles.size());
      }
    }
    return means;
  }

  static void expect_shared_are_highest(const LayerConversion& conversion, const std::vector<double>& importance) {
    const at::Tensor& shared = conversion.shared->neurons;
    const int64_t* first = shared.const_data_ptr<int64_t>();
    double least_shared = 1e9, most_routed = -1e9;
    for (int64_t neuron = 0; neuron < kNeurons; ++neuron) {
      if (std::find(first, first + shared.numel(), neuron) != first + shared.numel()) {
        least_shared = std::min(least_shared, importance[neuron]);
      } else {
        most_routed = std::max(most_routed, importance[neuron]);
      }
    }
    EXPECT_GE(least_shared, most_routed);
  }

  static double varying_share(const std::vector<std::vector<double>>& profiles, bool is_signed) {
    const std::vector<double> means = means_of(profiles);
    double varying = 0;
    for (int64_t neuron = 0; neuron < kNeurons; ++neuron) {
      double squares = 0;
      for (const std::vector<double>& task : profiles) squares += std::pow(task[neuron] - means[neuron], 2);
      const double deviation = std::sqrt(squares / static_cast<double>(profiles.size()));
      if (deviation / (is_signed ? means[neuron] : std::abs(means[neuron])) > 0.6) varying += 1;
    }
    return varying / kNeurons;
  }

  GatedMlpWeights dense_ = random_mlp(kNeurons, kHidden, 1);
  std::vector<at::Tensor> windows_ = random_windows(6, 4, kHidden, 2);  // few tokens, so that tasks differ
};

TEST_F(ExpertweaverTest, SharedFractionFollowsTheNeuronsThatVary) {
  for (const bool is_signed : {true, false}) {
    const double varying = varying_share(profiles(3), is_signed);
    ASSERT_GT(varying, 0);
    ASSERT_LT(varying, 1);
    const LayerConversion conversion = weave({{"mean", is_signed ? "signed" : "absolute"}});
    EXPECT_NEAR(conversion.notes.at("varying_share"), varying, 1e-12);
    EXPECT_NEAR(conversion.notes.at("alpha"), 0.7 - 0.5 * varying, 1e-12);
    const int64_t num_shared = std::lround((0.7 - 0.5 * varying) * 8);
    EXPECT_EQ(conversion.shared->neurons.numel(), num_shared * 3);
    EXPECT_EQ(conversion.top_k, 8 - num_shared);
    EXPECT_EQ(static_cast<int64_t>(conversion.experts.size()), 16 - num_shared);
  }
}

TEST_F(ExpertweaverTest, OfOneDomainTheWindowsAreTasks) {
  EXPECT_NEAR(weave({}, 1).notes.at("varying_share"), varying_share(profiles(6), true), 1e-12);
}

TEST_F(ExpertweaverTest, NeuronsWithTheHighestMeanGateAreShared) {
  expect_shared_are_highest(weave({}), means_of(profiles(3)));
}

TEST_F(ExpertweaverTest, OrThoseWhoseGateIsLargestInSize) {
  std::vector<double> magnitudes(kNeurons);
  for (const at::Tensor& window : windows_) {
    const at::Tensor sizes = at::silu(Window(dense_, window).gate).abs().sum(0);
    for (int64_t neuron = 0; neuron < kNeurons; ++neuron) magnitudes[neuron] += sizes[neuron].item<double>();
  }
  expect_shared_are_highest(weave({{"shared", "magnitude"}}), magnitudes);
}

TEST_F(ExpertweaverTest, TheRouterReadsTheMeanGateRowOfEveryExpert) {
  const LayerConversion conversion = weave({});
  EXPECT_EQ(conversion.router.kind, RouterKind::kLinear);
  for (size_t expert = 0; expert < conversion.experts.size(); ++expert) {
    at::Tensor mean = at::zeros({kHidden}, at::kDouble);
    for (int64_t member = 0; member < 3; ++member) {
      mean += dense_.gate_proj[conversion.experts[expert].neurons[member].item<int64_t>()].to(at::kDouble) / 3;
    }
    const at::Tensor row = conversion.router.tensors.at("weight")[static_cast<int64_t>(expert)];
    EXPECT_LT((row - mean).abs().max().item<double>(), 1e-6);
  }
}

TEST_F(ExpertweaverTest, ChosenExpertsAreSummedUnweighted) {
  const LayerConversion conversion = weave({});
  const Routing routing = MoeLayer(dense_, conversion).route(windows_[0]);
  EXPECT_TRUE(routing.weights.eq(1).all().item<bool>());
}

// Two kinds of neurons: one task opens the gates of the first half, the other those of the second.
TEST_F(ExpertweaverTest, NeuronsOfOneTaskMeetInOneExpert) {
  dense_.gate_proj.zero_();
  dense_.gate_proj.narrow(0, 0, 24).select(1, 0).fill_(1);
  dense_.gate_proj.narrow(0, 24, 24).select(1, 1).fill_(1);
  for (size_t index = 0; index < windows_.size(); ++index) {
    windows_[index].zero_();
    windows_[index].select(1, static_cast<int64_t>(index) % 2).fill_(2);
  }
  const LayerConversion conversion = weave({{"alpha_base", 0}, {"alpha_slope", 0}}, 2, {1, 1, 8, 6});
  EXPECT_FALSE(conversion.shared.has_value());
  for (const ExpertSpec& expert : conversion.experts) {
    const int64_t first_half = expert.neurons.lt(24).sum().item<int64_t>();
    EXPECT_TRUE(first_half == 0 || first_half == 6) << expert.neurons;
  }
}

TEST_F(ExpertweaverTest, AtLeastOneActiveExpertIsRouted) {
  const LayerConversion conversion = weave({{"alpha_base", 2}, {"alpha_slope", 0}});
  EXPECT_EQ(conversion.shared->neurons.numel(), 7 * 3);
  EXPECT_EQ(conversion.top_k, 1);
}

TEST_F(ExpertweaverTest, OneTaskIsRefused) {
  windows_.resize(1);
  EXPECT_THAT([&] { weave({}, 1); }, testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr("two")));
}

TEST_F(ExpertweaverTest, HasSixtyFourExpertsOrTheMostThatDivide) {
  const std::unique_ptr<Converter> converter = make_converter("expertweaver");
  const auto experts = [&](int64_t intermediate_size) {
    return converter->shape_for(0.75, {.intermediate_size = intermediate_size}).num_experts;
  };
  EXPECT_EQ(experts(1536), 64);
  EXPECT_EQ(experts(11008), 64);
  EXPECT_EQ(experts(1000), 40);
}

}  // namespace
}  // namespace moebench
