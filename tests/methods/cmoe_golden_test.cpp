// CMoE against the released code's own numbers (../shared/golden/methods).
#include <algorithm>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "harness/model/moe_layer.h"
#include "methods/activation_markers.h"
#include "methods/analytic_router.h"
#include "methods/layout.h"
#include "methods/marker_clusters.h"
#include "tests/methods/golden_arrays.h"
#include "tests/methods/layer_scene.h"

namespace moebench {
namespace {

std::vector<int64_t> to_list(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.to(at::kLong).contiguous().flatten();
  return {flat.const_data_ptr<int64_t>(), flat.const_data_ptr<int64_t>() + flat.numel()};
}

MarkerMatrix to_markers(const at::Tensor& top, int64_t num_neurons) {
  const at::Tensor marks = top.to(at::kInt).contiguous();
  return MarkerMatrix({marks.const_data_ptr<int32_t>(), static_cast<size_t>(marks.numel())}, marks.size(1),
                      num_neurons);
}

std::vector<int64_t> ascending(std::vector<int64_t> list) {
  std::sort(list.begin(), list.end());
  return list;
}

// Summed L1 distance of the clusters' columns to their seeds'.
int64_t assignment_cost(const MarkerMatrix& markers, const std::vector<std::vector<int64_t>>& clusters,
                        const std::vector<int64_t>& seeds) {
  int64_t cost = 0;
  for (size_t cluster = 0; cluster < clusters.size(); ++cluster) {
    for (const int64_t distance :
         marker_distances(markers, clusters[cluster], std::vector<int64_t>{seeds[cluster]}, MarkerDistance::kL1)) {
      cost += distance;
    }
  }
  return cost;
}

// Summed L1 distance of a neuron's column to the cluster's mean, in double from the columns themselves.
double distance_to_mean(const MarkerMatrix& markers, const std::vector<int64_t>& cluster, int64_t neuron) {
  std::vector<double> mean(markers.num_tokens()), column(markers.num_tokens());
  for (const int64_t member : cluster) {
    for (const int32_t token : markers.tokens(member)) mean[token] += 1.0 / static_cast<double>(cluster.size());
  }
  for (const int32_t token : markers.tokens(neuron)) column[token] = 1;
  double distance = 0;
  for (size_t token = 0; token < mean.size(); ++token) distance += std::abs(mean[token] - column[token]);
  return distance;
}

class CmoeUnitVectors : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    arrays_ = GoldenArrays::read(GetParam());
    if (!arrays_) GTEST_SKIP() << "no reference outputs beside the repository (../shared/golden/methods)";
    dense_ = {array("wg"), array("wu"), array("wd")};
  }

  at::Tensor array(const std::string& name) const { return (*arrays_)[name]; }
  int64_t meta(const std::string& name) const { return arrays_->meta().at(name).get<int64_t>(); }
  MarkerMatrix stored_markers() const { return to_markers(array("top10"), meta("d_ff")); }
  std::vector<std::vector<int64_t>> stored_groups() const {
    std::vector<std::vector<int64_t>> groups;
    for (const at::Tensor& group : array("groups").unbind(0)) groups.push_back(ascending(to_list(group)));
    return groups;
  }

  // The released conversion, from its stored parts.
  LayerConversion stored_conversion(int64_t top_k) const {
    LayerConversion conversion{.top_k = top_k};
    conversion.shared = expert_of(to_list(array("shared")));
    for (const auto& group : stored_groups()) conversion.experts.push_back(expert_of(group));
    set_analytic_router(conversion, {0, dense_}, to_list(array("reps")));
    return conversion;
  }

  std::optional<GoldenArrays> arrays_;
  GatedMlpWeights dense_;
};

INSTANTIATE_TEST_SUITE_P(Released, CmoeUnitVectors,
                         testing::Values("a1_cmoe_dff176_S1", "a1_cmoe_dff176_S3", "a1_cmoe_dff192_S1",
                                         "a1_cmoe_dff192_S3"),
                         [](const auto& info) { return info.param.substr(8); });

TEST_P(CmoeUnitVectors, ScoresAgree) {
  const Window window(dense_, array("x_calib").narrow(0, 0, 16));
  const at::Tensor scores = ActivationMarkers(dense_, ActivationScore::kNormalised, 10).scores(window.chunk());
  EXPECT_TRUE(scores.allclose(array("score").abs(), 1e-5, 1e-7));
}

TEST_P(CmoeUnitVectors, MarkersAgreeWhereTheMarginIsNotRounding) {
  const Window window(dense_, array("x_calib"));
  ActivationMarkers markers(dense_, ActivationScore::kNormalised, 10);
  markers.observe(window.chunk());
  const MarkerMatrix ours = markers.matrix(), theirs = stored_markers();
  const at::Tensor margins = array("top10_margin");
  ASSERT_EQ(ours.num_tokens(), theirs.num_tokens());
  for (int64_t neuron = 0; neuron < ours.num_neurons(); ++neuron) {
    std::vector<int32_t> differing;
    std::ranges::set_symmetric_difference(ours.tokens(neuron), theirs.tokens(neuron), std::back_inserter(differing));
    for (const int32_t token : differing) EXPECT_LT(margins[token].item<double>(), 1e-6) << "token " << token;
  }
}

TEST_P(CmoeUnitVectors, CountsAndRatesAgree) {
  const MarkerMatrix markers = stored_markers();
  const std::vector<int64_t> counts = to_list(array("counts"));
  for (int64_t neuron = 0; neuron < markers.num_neurons(); ++neuron) EXPECT_EQ(markers.count(neuron), counts[neuron]);
  EXPECT_TRUE((array("counts").to(at::kFloat) / 512).equal(array("rates")));
}

TEST_P(CmoeUnitVectors, PaperFormCountsAgree) {
  const Window window(dense_, array("x_calib"));
  ActivationMarkers markers(dense_, ActivationScore::kPlain, 10);
  markers.observe(window.chunk());
  const MarkerMatrix matrix = markers.matrix();
  const std::vector<int64_t> counts = to_list(array("counts_paper_form"));
  // A token whose tenth and eleventh activation are equal up to rounding may mark the other one.
  for (int64_t neuron = 0; neuron < matrix.num_neurons(); ++neuron) {
    EXPECT_NEAR(static_cast<double>(matrix.count(neuron)), static_cast<double>(counts[neuron]), 1);
  }
}

TEST_P(CmoeUnitVectors, SharedNeuronsAndSeedsAgree) {
  const MarkerMatrix markers = stored_markers();
  const auto shared = most_marked(markers, other_neurons({}, meta("d_ff")), meta("S") * meta("m"));
  EXPECT_EQ(ascending(shared), ascending(to_list(array("shared"))));
  const auto seeds = most_marked(markers, other_neurons(shared, meta("d_ff")), meta("N_r"));
  EXPECT_EQ(seeds, to_list(array("centroid_seeds")));
}

TEST_P(CmoeUnitVectors, DistancesToTheSeedsAgree) {
  const MarkerMatrix markers = stored_markers();
  const std::vector<int64_t> rest = other_neurons(to_list(array("shared")), meta("d_ff"));
  const auto distances = marker_distances(markers, rest, to_list(array("centroid_seeds")), MarkerDistance::kL1);
  EXPECT_EQ(distances, to_list(array("cost")));
}

TEST_P(CmoeUnitVectors, AssignmentCostIsTheReleasedOptimum) {
  const MarkerMatrix markers = stored_markers();
  const std::vector<int64_t> seeds = to_list(array("centroid_seeds"));
  const std::vector<int64_t> rest = other_neurons(to_list(array("shared")), meta("d_ff"));
  const auto clusters = cluster_by_markers(markers, rest, seeds, MarkerDistance::kL1);
  EXPECT_EQ(static_cast<double>(assignment_cost(markers, clusters, seeds)),
            arrays_->meta().at("assignment_cost").get<double>());
}

TEST_P(CmoeUnitVectors, RepresentativesAreAsNearToTheMeanAsTheReleasedOnes) {
  const MarkerMatrix markers = stored_markers();
  const auto groups = stored_groups();
  const std::vector<int64_t> released = to_list(array("reps"));
  for (size_t group = 0; group < groups.size(); ++group) {
    const double ours = distance_to_mean(markers, groups[group], representative(markers, groups[group]));
    EXPECT_NEAR(ours, distance_to_mean(markers, groups[group], released[group]), 1e-9);
    for (const int64_t neuron : groups[group]) {
      EXPECT_LE(ours, distance_to_mean(markers, groups[group], neuron) + 1e-9);
    }
  }
}

TEST_P(CmoeUnitVectors, RouterOutputsAgree) {
  const LayerConversion conversion = stored_conversion(1);
  const at::Tensor logits = router_logits(conversion.router, array("x_test"));
  EXPECT_TRUE(logits.allclose(array("router_raw"), 1e-5, 1e-6));
  EXPECT_TRUE(logits.softmax(-1).allclose(array("router_softmax"), 0, 1e-5));
}

TEST_P(CmoeUnitVectors, OutputsAgreeForEveryTopK) {
  for (int64_t top_k = 1; top_k <= 5; ++top_k) {
    const at::Tensor output = MoeLayer(dense_, stored_conversion(top_k)).forward(array("x_test"));
    const at::Tensor expected = array("moe_out")[top_k - 1];
    EXPECT_LT((output - expected).abs().max().item<double>(), 1e-5 * (1 + expected.abs().max().item<double>()))
        << "top_k " << top_k;
  }
}

TEST_P(CmoeUnitVectors, WholeLayerHasTheReleasedSharedSetAndCost) {
  const MoeShape shape{meta("S"), 2, meta("E"), meta("m")};
  const LayerConversion conversion = convert_layer(*make_converter("cmoe"), dense_, {array("x_calib")}, shape);
  ASSERT_EQ(static_cast<int64_t>(conversion.experts.size()), meta("N_r"));
  EXPECT_EQ(to_list(conversion.shared->neurons), ascending(to_list(array("shared"))));
  std::vector<std::vector<int64_t>> clusters;
  for (const ExpertSpec& expert : conversion.experts) clusters.push_back(to_list(expert.neurons));
  EXPECT_EQ(static_cast<double>(assignment_cost(stored_markers(), clusters, to_list(array("centroid_seeds")))),
            arrays_->meta().at("assignment_cost").get<double>());
}

// SmolLM2's layers from their stored markers: what the released code found in six of them.
class StoredLayers : public testing::TestWithParam<int64_t> {
 protected:
  void SetUp() override {
    arrays_ = GoldenArrays::read("b_cmoe_smollm2_S3A3E8");
    if (!arrays_) GTEST_SKIP() << "no reference outputs beside the repository (../shared/golden/methods)";
    stored_ = arrays_->meta().at("layers").at(GetParam());
    const std::vector<int64_t> labels = to_list((*arrays_)["labels"][GetParam()]);
    for (int64_t neuron = 0; neuron < kNeurons; ++neuron) released_[labels[neuron]].push_back(neuron);
  }

  MarkerMatrix markers() const { return to_markers((*arrays_)["top10_layer" + std::to_string(GetParam())], kNeurons); }
  std::vector<std::vector<int64_t>> clusters() const { return {released_.begin() + 1, released_.end()}; }

  static constexpr int64_t kNeurons = 1536;
  std::optional<GoldenArrays> arrays_;
  nlohmann::json stored_;
  std::vector<std::vector<int64_t>> released_{6};  // by label: 0 shared, then the clusters
};

INSTANTIATE_TEST_SUITE_P(Released, StoredLayers, testing::Values(0, 5, 11, 17, 23, 29));

TEST_P(StoredLayers, CountsAndSharedSetsAgree) {
  const MarkerMatrix markers = this->markers();
  const std::vector<int64_t> counts = to_list((*arrays_)["counts"][GetParam()]);
  for (int64_t neuron = 0; neuron < kNeurons; ++neuron) ASSERT_EQ(markers.count(neuron), counts[neuron]);
  EXPECT_EQ(ascending(most_marked(markers, other_neurons({}, kNeurons), 576)), released_[0]);
}

TEST_P(StoredLayers, AssignmentCostIsTheReleasedOptimum) {
  const MarkerMatrix markers = this->markers();
  const auto cost = stored_.at("assignment_cost").get<int64_t>();
  const std::vector<int64_t> routed = other_neurons(released_[0], kNeurons);
  const std::vector<int64_t> seeds = most_marked(markers, routed, 5);
  ASSERT_EQ(assignment_cost(markers, clusters(), seeds), cost) << "these are not the released seeds";
  const auto ours = cluster_by_markers(markers, routed, seeds, MarkerDistance::kL1);
  EXPECT_EQ(assignment_cost(markers, ours, seeds), cost);
}

TEST_P(StoredLayers, ClustersByLapjvAreTheReleasedOnes) {
  const MarkerMatrix markers = this->markers();
  const std::vector<int64_t> routed = other_neurons(released_[0], kNeurons);
  EXPECT_EQ(cluster_by_markers(markers, routed, most_marked(markers, routed, 5), MarkerDistance::kL1,
                               ClusterAssignment::kLapjv),
            clusters());
}

TEST_P(StoredLayers, RepresentativesAgree) {
  const MarkerMatrix markers = this->markers();
  std::vector<int64_t> representatives;
  for (const std::vector<int64_t>& cluster : clusters()) representatives.push_back(representative(markers, cluster));
  EXPECT_EQ(representatives, stored_.at("reps").get<std::vector<int64_t>>());
}

// All of SmolLM2's layers, by the stored numbers of marks alone.
class StoredCounts : public testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Released, StoredCounts, testing::Values("S3A3E8", "S1A3E8", "S2A6E16"),
                         [](const auto& info) { return info.param; });

TEST_P(StoredCounts, SharedSetsAgreeInEveryLayer) {
  const auto arrays = GoldenArrays::read("b_cmoe_smollm2_" + GetParam());
  if (!arrays) GTEST_SKIP() << "no reference outputs beside the repository (../shared/golden/methods)";
  const at::Tensor counts = (*arrays)["counts"], labels = (*arrays)["labels"];
  const at::Tensor neurons = at::arange(counts.size(1), at::kLong);
  ASSERT_EQ(counts.size(0), 30);
  for (int64_t layer = 0; layer < 30; ++layer) {
    const at::Tensor marks = neurons.repeat_interleave(counts[layer]).unsqueeze(1);  // one a token: counts are the same
    const std::vector<int64_t> released = to_list(labels[layer].eq(0).nonzero());
    const auto count = static_cast<int64_t>(released.size());
    EXPECT_EQ(ascending(most_marked(to_markers(marks, counts.size(1)), to_list(neurons), count)), released)
        << "layer " << layer;
  }
}

}  // namespace
}  // namespace moebench
