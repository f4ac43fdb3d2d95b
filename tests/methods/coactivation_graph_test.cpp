#include "methods/coactivation_graph.h"

#include <algorithm>
#include <limits>
#include <stdexcept>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/methods/golden_arrays.h"

namespace moebench {
namespace {

constexpr double kNoLimit = std::numeric_limits<double>::infinity();

// A graph of these edge weights, a symmetric matrix.
NeuronGraph graph_of(const std::vector<std::vector<int32_t>>& matrix) {
  NeuronGraph graph{.offsets = {0}};
  for (const std::vector<int32_t>& row : matrix) {
    for (size_t node = 0; node < row.size(); ++node) {
      if (row[node] == 0) continue;
      graph.neighbours.push_back(static_cast<int32_t>(node));
      graph.weights.push_back(row[node]);
    }
    graph.offsets.push_back(static_cast<int32_t>(graph.weights.size()));
  }
  return graph;
}

// size nodes a group, all joined; within a group by inside, between groups by outside.
NeuronGraph grouped_graph(int64_t num_groups, int64_t size, int32_t inside, int32_t outside) {
  const int64_t num_nodes = num_groups * size;
  std::vector<std::vector<int32_t>> matrix(num_nodes, std::vector<int32_t>(num_nodes));
  for (int64_t row = 0; row < num_nodes; ++row) {
    for (int64_t column = 0; column < num_nodes; ++column) {
      if (row != column) matrix[row][column] = row % num_groups == column % num_groups ? inside : outside;
    }
  }
  return graph_of(matrix);
}

std::vector<int64_t> sizes(const std::vector<int64_t>& parts, int64_t num_parts) {
  std::vector<int64_t> result(num_parts);
  for (const int64_t part : parts) ++result[part];
  return result;
}

TEST(CoactivationTest, WeightsAreLimitedSumsInUnitsOfTheFirstDecile) {
  // Sums over tokens: (0, 1) 8, (0, 2) 4 and (1, 2) 2, on the diagonal 16, 4 and 1; the first decile is 1.6 of them.
  Coactivation coactivation(3, 6);
  coactivation.observe(at::tensor({4.f, 2.f, 1.f}).view({1, 3}));
  const NeuronGraph graph = coactivation.graph();
  EXPECT_EQ(graph.offsets, (std::vector<int32_t>{0, 2, 4, 6}));
  EXPECT_EQ(graph.neighbours, (std::vector<int32_t>{1, 2, 0, 2, 0, 1}));
  // Sorted: 1 2 2 4 4 4 6 6 6. The decile is at rank 0.8: 1.8, the unit 1.782.
  EXPECT_EQ(graph.weights, (std::vector<int32_t>{3, 2, 3, 1, 2, 1}));
}

TEST(CoactivationTest, WindowsAddUp) {
  const at::Tensor features = at::rand({2, 7, 5}, at::detail::createCPUGenerator(1));
  Coactivation together(5, kNoLimit), apart(5, kNoLimit);
  together.observe(features.flatten(0, 1));
  for (const at::Tensor& window : features.unbind(0)) apart.observe(window);
  EXPECT_EQ(together.graph().weights, apart.graph().weights);
}

TEST(CoactivationTest, NeuronsThatAreNeverActiveTogetherAreRefused) {
  Coactivation coactivation(4, 1);
  EXPECT_THROW(coactivation.graph(), std::invalid_argument);
  coactivation.observe(at::zeros({3, 4}));
  EXPECT_THROW(coactivation.graph(), std::invalid_argument);
}

TEST(BalancedCutTest, GroupsStayTogether) {
  const NeuronGraph graph = grouped_graph(3, 8, 9, 1);
  const std::vector<int64_t> parts = balanced_cut(graph, 3, 0);
  EXPECT_EQ(sizes(parts, 3), (std::vector<int64_t>{8, 8, 8}));
  EXPECT_EQ(cut_weight(graph, parts), 3 * 64);
}

TEST(BalancedCutTest, PartsAreEqualOnAnyGraph) {
  for (const int64_t num_parts : {1, 2, 5, 10, 40}) {
    const at::Tensor numbers = at::randint(0, 4, {40, 40}, at::detail::createCPUGenerator(num_parts), at::kInt);
    const at::Tensor upper = numbers.triu(1);
    const at::Tensor matrix = (upper + upper.t()).contiguous();
    std::vector<std::vector<int32_t>> rows;
    for (int64_t row = 0; row < 40; ++row) {
      const int32_t* first = matrix.const_data_ptr<int32_t>() + row * 40;
      rows.emplace_back(first, first + 40);
    }
    const std::vector<int64_t> parts = balanced_cut(graph_of(rows), num_parts, 0);
    EXPECT_EQ(sizes(parts, num_parts), std::vector<int64_t>(num_parts, 40 / num_parts));
  }
}

TEST(BalancedCutTest, PartsThatDoNotShareOutAreRefused) {
  EXPECT_THROW(balanced_cut(grouped_graph(2, 4, 1, 1), 3, 0), std::invalid_argument);
  EXPECT_THROW(balanced_cut(grouped_graph(2, 4, 1, 1), 0, 0), std::invalid_argument);
}

class ReleasedGraph : public testing::Test {
 protected:
  void SetUp() override {
    arrays_ = GoldenArrays::read("a2_llamamoe");
    if (!arrays_) GTEST_SKIP() << "no reference outputs beside the repository (../shared/golden/methods)";
    Coactivation coactivation(48, kLimit);
    for (const at::Tensor& batch : (*arrays_)["graph_hidden"].unbind(0)) coactivation.observe(batch.abs());
    graph_ = coactivation.graph();
  }
  std::vector<int32_t> array(const std::string& name) const {
    const at::Tensor numbers = (*arrays_)[name].to(at::kInt);
    return {numbers.const_data_ptr<int32_t>(), numbers.const_data_ptr<int32_t>() + numbers.numel()};
  }

  static constexpr double kLimit = 1000;  // the stored weights are those of a limit that was never reached
  std::optional<GoldenArrays> arrays_;
  NeuronGraph graph_;
};

TEST_F(ReleasedGraph, EdgesAndWeightsAgree) {
  EXPECT_EQ(graph_.offsets, array("graph_xadj"));
  EXPECT_EQ(graph_.neighbours, array("graph_adj"));
  EXPECT_EQ(graph_.weights, array("graph_w"));
}

TEST_F(ReleasedGraph, CutWeightAgreesAndOursIsNotAboveTheReleasedOne) {
  const nlohmann::json& stored = arrays_->meta().at("graph");
  const auto released = stored.at("balanced_labels").get<std::vector<int64_t>>();
  EXPECT_EQ(cut_weight(graph_, released), stored.at("balanced_cut").get<int64_t>());
  EXPECT_LE(cut_weight(graph_, balanced_cut(graph_, 4, 0)), stored.at("balanced_cut").get<int64_t>());
}

}  // namespace
}  // namespace moebench
