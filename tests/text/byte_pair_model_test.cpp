// Merging against a brute-force twin, and its time on one long word.
#include "harness/text/byte_pair_model.h"

#include <chrono>
#include <random>

#include <gtest/gtest.h>

namespace moebench {
namespace {

// Tokens "a", "b", "c" and random merges of what is there, by rank.
TokenizerSpec random_spec(std::mt19937& random) {
  TokenizerSpec spec{.tokens = {"a", "b", "c"}};
  while (spec.merges.size() < 40) {
    const auto pick = [&] { return static_cast<int32_t>(random() % spec.tokens.size()); };
    const int32_t left = pick(), right = pick();
    const std::string joined = spec.tokens[static_cast<size_t>(left)] + spec.tokens[static_cast<size_t>(right)];
    if (joined.size() > 6 || std::find(spec.tokens.begin(), spec.tokens.end(), joined) != spec.tokens.end()) continue;
    spec.merges.push_back(
        {left, right, static_cast<int32_t>(spec.tokens.size()), static_cast<int32_t>(spec.merges.size())});
    spec.tokens.push_back(joined);
  }
  return spec;
}

// By definition: of all neighbours that merge, those of the lowest rank, the leftmost of them; again, until none does.
std::vector<int32_t> merge_slowly(const TokenizerSpec& spec, const std::string& text) {
  std::vector<int32_t> ids;
  for (const char letter : text) ids.push_back(letter - 'a');
  while (true) {
    const Merge* best = nullptr;
    size_t place = 0;
    for (size_t position = 0; position + 1 < ids.size(); ++position) {
      for (const Merge& merge : spec.merges) {
        if (merge.left != ids[position] || merge.right != ids[position + 1]) continue;
        if (best == nullptr || merge.rank < best->rank) {
          best = &merge;
          place = position;
        }
      }
    }
    if (best == nullptr) return ids;
    ids[place] = best->token;
    ids.erase(ids.begin() + static_cast<ptrdiff_t>(place) + 1);
  }
}

TEST(BytePairModelTest, MergesAsTheDefinitionSays) {
  std::mt19937 random(1);
  for (int round = 0; round < 50; ++round) {
    const TokenizerSpec spec = random_spec(random);
    const Vocabulary vocabulary(spec.tokens);
    const BytePairModel model(spec, vocabulary, false);
    BytePairModel::Workspace workspace;
    for (int word = 0; word < 40; ++word) {
      std::string text;
      for (size_t size = random() % 30; text.size() < size;) text += static_cast<char>('a' + random() % 3);
      std::vector<int32_t> ids;
      model.encode(text, workspace, ids);
      EXPECT_EQ(ids, merge_slowly(spec, text)) << text;
    }
  }
}

// Takes under a second; a loop that looks at the whole word for every merge would take hours.
TEST(BytePairModelTest, AMegabyteInOneWordDoesNotGoQuadratic) {
  std::mt19937 random(3);
  const TokenizerSpec spec = random_spec(random);
  const Vocabulary vocabulary(spec.tokens);
  const BytePairModel model(spec, vocabulary, false);
  std::string text;
  while (text.size() < 1'000'000) text += static_cast<char>('a' + random() % 3);
  BytePairModel::Workspace workspace;
  std::vector<int32_t> ids;
  const auto start = std::chrono::steady_clock::now();
  model.encode(text, workspace, ids);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30));
}

// "a▁" never merges in the first; in the second it does, and text must not be cut there.
TEST(BytePairModelTest, CutsBeforeSpacesOnlyWhereNoMergeCrosses) {
  TokenizerSpec spec{.tokens = {"<unk>", "▁", "a", "▁a", "a▁"}, .merges = {{1, 2, 3, 0}}, .unknown_id = 0};
  const Vocabulary vocabulary(spec.tokens);
  EXPECT_TRUE(BytePairModel(spec, vocabulary, false).can_cut_before_spaces());
  spec.merges.push_back({2, 1, 4, 1});
  EXPECT_FALSE(BytePairModel(spec, vocabulary, false).can_cut_before_spaces());
  spec.merges.pop_back();
  spec.unknown_id.reset();  // an unknown character between two spaces vanishes
  EXPECT_FALSE(BytePairModel(spec, vocabulary, false).can_cut_before_spaces());
}

}  // namespace
}  // namespace moebench
