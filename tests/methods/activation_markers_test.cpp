#include "methods/activation_markers.h"

#include <numeric>
#include <set>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "methods/marker_clusters.h"
#include "tests/methods/layer_scene.h"

namespace moebench {
namespace {

using testing::ElementsAre;

// [tokens, neurons] of 0 and 1, as the published code holds it.
at::Tensor to_dense(const MarkerMatrix& markers) {
  at::Tensor dense = at::zeros({markers.num_tokens(), markers.num_neurons()}, at::kDouble);
  for (int64_t neuron = 0; neuron < markers.num_neurons(); ++neuron) {
    for (const int32_t token : markers.tokens(neuron)) dense[token][neuron] += 1;
  }
  return dense;
}

MarkerMatrix random_markers(int64_t num_tokens, int64_t marks_per_token, int64_t num_neurons) {
  // Some neurons are hot, as in a real layer.
  const at::Tensor heat = at::linspace(0, 3, num_neurons);
  const at::Tensor scores = heat + at::randn({num_tokens, num_neurons}, at::detail::createCPUGenerator(5));
  const at::Tensor top = std::get<1>(scores.topk(marks_per_token, 1)).to(at::kInt).contiguous();
  return MarkerMatrix({top.const_data_ptr<int32_t>(), static_cast<size_t>(top.numel())}, marks_per_token, num_neurons);
}

TEST(MarkerMatrixTest, KeepsTheTokensOfEachNeuron) {
  const std::vector<int32_t> marks = {3, 1, 1, 2, 4, 1};
  const MarkerMatrix markers(marks, 2, 5);
  EXPECT_EQ(markers.num_tokens(), 3);
  EXPECT_EQ(markers.num_neurons(), 5);
  EXPECT_THAT(markers.tokens(0), ElementsAre());
  EXPECT_THAT(markers.tokens(1), ElementsAre(0, 1, 2));
  EXPECT_THAT(markers.tokens(4), ElementsAre(2));
  EXPECT_EQ(markers.count(1), 3);
}

TEST(MarkerMatrixTest, MostOftenMarkedNeuronsComeFirst) {
  const std::vector<int32_t> marks = {4, 2, 4, 1, 4, 2};
  const MarkerMatrix markers(marks, 2, 5);
  EXPECT_THAT(most_marked(markers, std::vector<int64_t>{0, 1, 2, 3, 4}, 3), ElementsAre(4, 2, 1));
  EXPECT_THAT(most_marked(markers, std::vector<int64_t>{0, 1, 2}, 1), ElementsAre(2));
}

TEST(MarkerMatrixTest, EquallyOftenMarkedNeuronsAreChosenTheSameWayAlways) {
  const std::vector<int32_t> marks = {4, 2, 0, 1, 3, 5};
  const std::vector<int64_t> all = other_neurons({}, 6);
  const auto chosen = most_marked(MarkerMatrix(marks, 2, 6), all, 3);
  EXPECT_EQ(std::set(chosen.begin(), chosen.end()).size(), 3u);
  EXPECT_EQ(most_marked(MarkerMatrix(marks, 2, 6), all, 3), chosen);
}

TEST(MarkerMatrixTest, OtherNeuronsAreTheComplement) {
  EXPECT_THAT(other_neurons(std::vector<int64_t>{3, 0}, 5), ElementsAre(1, 2, 4));
}

TEST(ActivationMarkersTest, CodeScoreNormalisesTokensAndRows) {
  const GatedMlpWeights dense = random_mlp(20, 8, 1);
  const Window window(dense, random_windows(1, 30, 8, 2).front());
  const at::Tensor scores = ActivationMarkers(dense, ActivationScore::kNormalised, 3).scores(window.chunk());
  for (int64_t token = 0; token < 30; ++token) {
    for (int64_t neuron = 0; neuron < 20; ++neuron) {
      const auto cosine = [&](const at::Tensor& row) {
        const at::Tensor x = window.inputs[token].to(at::kDouble), w = row.to(at::kDouble);
        return x.dot(w).item<double>() / (x.norm().item<double>() * w.norm().item<double>());
      };
      const double gate = cosine(dense.gate_proj[neuron]), up = cosine(dense.up_proj[neuron]);
      EXPECT_NEAR(scores[token][neuron].item<double>(), std::abs(gate / (1 + std::exp(-gate)) * up), 1e-6);
    }
  }
}

TEST(ActivationMarkersTest, PaperScoreIsTheActivation) {
  const GatedMlpWeights dense = random_mlp(20, 8, 1);
  const Window window(dense, random_windows(1, 30, 8, 2).front());
  const ActivationMarkers markers(dense, ActivationScore::kPlain, 3);
  EXPECT_TRUE(markers.scores(window.chunk()).equal(window.activations.abs()));
}

TEST(ActivationMarkersTest, EveryTokenMarksItsMostActiveNeurons) {
  const GatedMlpWeights dense = random_mlp(20, 8, 1);
  ActivationMarkers markers(dense, ActivationScore::kPlain, 3);
  std::vector<at::Tensor> scores;
  for (const at::Tensor& inputs : random_windows(2, 30, 8, 2)) {
    const Window window(dense, inputs);
    markers.observe(window.chunk());
    scores.push_back(window.activations.abs());
  }
  const at::Tensor all = at::cat(scores);
  const at::Tensor third = std::get<0>(all.sort(1, /*descending=*/true)).narrow(1, 2, 1);
  EXPECT_TRUE(to_dense(markers.matrix()).equal(all.ge(third).to(at::kDouble)));
}

TEST(MarkerClustersTest, DistancesEqualThoseOfTheDenseColumns) {
  const MarkerMatrix markers = random_markers(80, 6, 24);
  const at::Tensor columns = to_dense(markers).t();
  std::vector<int64_t> neurons(24);
  std::iota(neurons.begin(), neurons.end(), int64_t{0});
  const std::vector<int64_t> seeds = {23, 7, 11};
  const auto l1 = marker_distances(markers, neurons, seeds, MarkerDistance::kL1);
  const auto l2 = marker_distances(markers, neurons, seeds, MarkerDistance::kL2);
  for (int64_t neuron = 0; neuron < 24; ++neuron) {
    for (size_t seed = 0; seed < seeds.size(); ++seed) {
      const at::Tensor difference = columns[neuron] - columns[seeds[seed]];
      EXPECT_EQ(static_cast<double>(l1[neuron * 3 + seed]), difference.abs().sum().item<double>());
      EXPECT_NEAR(static_cast<double>(l2[neuron * 3 + seed]) / (1 << 20), difference.norm().item<double>(), 1e-6);
    }
  }
}

TEST(MarkerClustersTest, ClustersAreDisjointAndOfEqualSize) {
  const MarkerMatrix markers = random_markers(80, 6, 24);
  const std::vector<int64_t> neurons = {1, 2, 3, 5, 6, 7, 10, 11, 12, 20, 21, 22};
  const auto clusters = cluster_by_markers(markers, neurons, std::vector<int64_t>{22, 1, 12}, MarkerDistance::kL1);
  std::vector<int64_t> all;
  for (const auto& cluster : clusters) {
    EXPECT_EQ(cluster.size(), 4u);
    EXPECT_TRUE(std::is_sorted(cluster.begin(), cluster.end()));
    all.insert(all.end(), cluster.begin(), cluster.end());
  }
  EXPECT_THAT(all, testing::UnorderedElementsAreArray(neurons));
}

TEST(MarkerClustersTest, RepresentativeIsNearestToTheMeanColumn) {
  const MarkerMatrix markers = random_markers(80, 6, 24);
  const at::Tensor columns = to_dense(markers).t();
  const std::vector<int64_t> cluster = {2, 5, 9, 14, 17, 21, 23};
  const at::Tensor members = columns.index_select(0, at::tensor(cluster, at::kLong));
  const at::Tensor distances = (members - members.mean(0)).abs().sum(1);
  const int64_t nearest = representative(markers, cluster);
  const auto position = std::find(cluster.begin(), cluster.end(), nearest) - cluster.begin();
  EXPECT_NEAR(distances[position].item<double>(), distances.min().item<double>(), 1e-9);
}

TEST(MarkerClustersTest, FirstOfEquallyNearNeuronsRepresents) {
  const std::vector<int32_t> marks = {0, 1, 2, 0, 1, 2};
  EXPECT_EQ(representative(MarkerMatrix(marks, 3, 3), std::vector<int64_t>{0, 1, 2}), 0);
}

}  // namespace
}  // namespace moebench
