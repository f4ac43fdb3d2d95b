#include "methods/domain_affinity.h"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace moebench {
namespace {

using testing::ElementsAre;

// b_dive_smollm2.json has no arrays beside it, a3_dive.json none of these in it.
nlohmann::json read_reference(const std::string& name) {
  std::ifstream file(std::filesystem::path(MOEBENCH_SHARED_DIR) / "golden" / "methods" / name);
  return file ? nlohmann::json::parse(file) : nlohmann::json();
}

at::Tensor matrix(const nlohmann::json& rows) {
  std::vector<at::Tensor> tensors;
  for (const nlohmann::json& row : rows) tensors.push_back(at::tensor(row.get<std::vector<double>>(), at::kDouble));
  return at::stack(tensors);
}

std::set<std::vector<int64_t>> groups(const nlohmann::json& labels) {
  std::map<int64_t, std::vector<int64_t>> by_label;
  for (size_t domain = 0; domain < labels.size(); ++domain) {
    by_label[labels[domain].get<int64_t>()].push_back(static_cast<int64_t>(domain));
  }
  std::set<std::vector<int64_t>> result;
  for (const auto& [label, domains] : by_label) result.insert(domains);
  return result;
}

std::set<std::vector<int64_t>> clusters(const at::Tensor& distances, int64_t num_clusters, Linkage linkage) {
  const auto found = cluster_domains(distances, num_clusters, linkage);
  return {found.begin(), found.end()};
}

double largest_difference(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<double>(); }

const std::map<std::string, Linkage> kLinkages = {
    {"average", Linkage::kAverage}, {"complete", Linkage::kComplete}, {"single", Linkage::kSingle}};

TEST(DomainAffinityTest, ReferenceMatrixGivesTheReferenceClusters) {
  const nlohmann::json reference = read_reference("a3_dive.json");
  if (reference.is_null()) GTEST_SKIP() << "no reference outputs beside the repository (../shared/golden/methods)";
  const nlohmann::json& affinity = reference.at("meta").at("affinity");
  const at::Tensor normalised = normalised_perplexities(matrix(affinity.at("ppl")));
  EXPECT_LT(largest_difference(normalised, matrix(affinity.at("norm"))), 1e-12);
  for (const std::string axis : {"rows", "cols"}) {
    const at::Tensor distances =
        domain_distances(axis == "rows" ? normalised : normalised.t(), DomainDistance::kCorrelation);
    EXPECT_LT(largest_difference(1 - distances, matrix(affinity.at("pearson_" + axis))), 1e-12);
    for (const auto& [name, linkage] : kLinkages) {
      for (const int64_t cut : {2, 3, 4, 6}) {
        const std::string key = "clusters_" + axis + "_" + name + "_" + std::to_string(cut);
        EXPECT_EQ(clusters(distances, cut, linkage), groups(affinity.at(key))) << key;
      }
    }
  }
}

TEST(DomainAffinityTest, PerplexitiesOfSmollm2GiveTheReferenceClusters) {
  const nlohmann::json reference = read_reference("b_dive_smollm2.json");
  if (reference.is_null()) GTEST_SKIP() << "no reference outputs beside the repository (../shared/golden/methods)";
  const at::Tensor normalised = normalised_perplexities(matrix(reference.at("ppl")));
  // Perplexities are stored to 5e-5, which is 4e-6 of the least.
  EXPECT_LT(largest_difference(normalised, matrix(reference.at("norm"))), 1e-5);
  for (const std::string axis : {"rows", "cols"}) {
    const at::Tensor distances =
        domain_distances(axis == "rows" ? normalised : normalised.t(), DomainDistance::kCorrelation);
    EXPECT_LT(largest_difference(1 - distances, matrix(reference.at("pearson_" + axis))), 1e-5);
    for (const int64_t cut : {4, 6, 8}) {
      const std::string key = "clusters_" + axis + "_avg_" + std::to_string(cut);
      EXPECT_EQ(clusters(distances, cut, Linkage::kAverage), groups(reference.at(key))) << key;
    }
  }
}

TEST(DomainAffinityTest, BestModelOfATextCountsOne) {
  const at::Tensor perplexities = at::tensor({10.0, 40.0, 20.0, 25.0}, at::kDouble).view({2, 2});
  const at::Tensor expected = at::tensor({1.0, 0.625, 0.5, 1.0}, at::kDouble).view({2, 2});
  EXPECT_TRUE(normalised_perplexities(perplexities).equal(expected));
}

TEST(DomainAffinityTest, EuclideanDistanceIsBetweenRows) {
  const at::Tensor features = at::tensor({0.0, 0.0, 3.0, 4.0}, at::kDouble).view({2, 2});
  EXPECT_LT(std::abs(domain_distances(features, DomainDistance::kEuclidean)[0][1].item<double>() - 5), 1e-12);
}

// Places on a line: 0 and 1 meet first, then 2.1 and 3.3 (complete) or 1 and 2.1 (single).
TEST(DomainAffinityTest, LinkageDecidesWhatJoinsAChain) {
  const at::Tensor places = at::tensor({0.0, 1.0, 2.1, 3.3, 5.3}, at::kDouble).unsqueeze(1);
  const at::Tensor distances = domain_distances(places, DomainDistance::kEuclidean);
  EXPECT_THAT(cluster_domains(distances, 2, Linkage::kSingle), ElementsAre(ElementsAre(0, 1, 2, 3), ElementsAre(4)));
  EXPECT_THAT(cluster_domains(distances, 2, Linkage::kComplete), ElementsAre(ElementsAre(0, 1), ElementsAre(2, 3, 4)));
}

TEST(DomainAffinityTest, AsManyClustersAsDomainsLeavesThemAlone) {
  EXPECT_THAT(cluster_domains(at::zeros({3, 3}, at::kDouble), 3, Linkage::kAverage),
              ElementsAre(ElementsAre(0), ElementsAre(1), ElementsAre(2)));
  EXPECT_THAT(cluster_domains(at::zeros({3, 3}, at::kDouble), 1, Linkage::kAverage), ElementsAre(ElementsAre(0, 1, 2)));
}

}  // namespace
}  // namespace moebench
