#include "harness/evidence/text_clusters.h"

#include <stdexcept>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/model/memory_checkpoint.h"

namespace moebench {
namespace {

class TextClustersTest : public testing::Test {
 protected:
  // Words [first, first + 10), so that windows of one vocabulary are alike.
  static at::Tensor windows(int64_t num_windows, int64_t window, int64_t first, uint64_t seed) {
    return at::randint(first, first + 10, {num_windows, window}, at::detail::createCPUGenerator(seed), at::kLong);
  }
  static CalibrationText text(std::vector<at::Tensor> windows) {
    CalibrationText text;
    for (size_t domain = 0; domain < windows.size(); ++domain) text.domains.push_back("d" + std::to_string(domain));
    text.windows = std::move(windows);
    return text;
  }
  std::vector<at::Tensor> cluster(const CalibrationText& text, int64_t num_clusters, uint64_t seed = 0) const {
    return cluster_text(checkpoint_, text, num_clusters, seed);
  }

  MemoryCheckpoint checkpoint_{tiny_llama_config()};
};

TEST_F(TextClustersTest, EnoughDomainsAreTheClusters) {
  const CalibrationText domains = text({windows(2, 20, 0, 1), windows(3, 20, 10, 2), windows(1, 20, 20, 3)});
  const std::vector<at::Tensor> clusters = cluster(domains, 3);
  ASSERT_EQ(clusters.size(), 3);
  for (size_t domain = 0; domain < 3; ++domain) EXPECT_TRUE(clusters[domain].equal(domains.windows[domain]));
}

TEST_F(TextClustersTest, SurplusDomainsJoinTheClustersInTurn) {
  const CalibrationText domains = text({windows(2, 20, 0, 1), windows(3, 20, 10, 2), windows(1, 20, 20, 3)});
  const std::vector<at::Tensor> clusters = cluster(domains, 2);
  ASSERT_EQ(clusters.size(), 2);
  EXPECT_TRUE(clusters[0].equal(at::cat({domains.windows[0], domains.windows[2]})));
  EXPECT_TRUE(clusters[1].equal(domains.windows[1]));
}

TEST_F(TextClustersTest, WindowsOfOneVocabularyMeet) {
  const at::Tensor mixed = at::cat({windows(4, 50, 0, 1), windows(4, 50, 20, 2), windows(4, 50, 40, 3)});
  const std::vector<at::Tensor> clusters = cluster(text({mixed}), 3);
  ASSERT_EQ(clusters.size(), 3);
  for (const at::Tensor& members : clusters) {
    EXPECT_EQ(members.size(0), 4);
    EXPECT_EQ(at::div(members, 20, "floor").min().item<int64_t>(), at::div(members, 20, "floor").max().item<int64_t>());
  }
}

TEST_F(TextClustersTest, EveryWindowIsInOneCluster) {
  const at::Tensor all = at::arange(12 * 5, at::kLong).reshape({12, 5});
  std::vector<int64_t> first_tokens;
  for (const at::Tensor& members : cluster(text({all}), 5)) {
    ASSERT_GT(members.size(0), 0);
    for (const at::Tensor& window : members.unbind(0)) first_tokens.push_back(window[0].item<int64_t>());
  }
  std::vector<int64_t> expected;
  for (int64_t window = 0; window < 12; ++window) expected.push_back(5 * window);
  EXPECT_THAT(first_tokens, testing::UnorderedElementsAreArray(expected));
}

TEST_F(TextClustersTest, TooFewWindowsAreCutIntoPieces) {
  const at::Tensor few = at::arange(64, at::kLong).reshape({2, 32});
  int64_t num_pieces = 0;
  for (const at::Tensor& members : cluster(text({few}), 5)) {
    ASSERT_GT(members.size(0), 0);
    EXPECT_EQ(members.size(1), 10);  // 3 pieces of each window
    num_pieces += members.size(0);
    EXPECT_TRUE(members.diff(1, 1).eq(1).all().item<bool>());  // tokens stay in order
  }
  EXPECT_EQ(num_pieces, 6);
}

TEST_F(TextClustersTest, EqualWindowsStillFillEveryCluster) {
  for (const at::Tensor& members : cluster(text({windows(1, 20, 0, 1).repeat({6, 1})}), 4)) {
    EXPECT_GT(members.size(0), 0);
  }
}

TEST_F(TextClustersTest, SameSeedGivesTheSameClusters) {
  const CalibrationText mixed = text({windows(20, 30, 0, 1)});
  const std::vector<at::Tensor> once = cluster(mixed, 4, 7), again = cluster(mixed, 4, 7);
  for (size_t index = 0; index < 4; ++index) EXPECT_TRUE(once[index].equal(again[index]));
}

TEST_F(TextClustersTest, TooLittleTextIsRefused) {
  EXPECT_THAT([&] { cluster(text({windows(1, 10, 0, 1)}), 8); },
              testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr("more or longer windows")));
}

}  // namespace
}  // namespace moebench
