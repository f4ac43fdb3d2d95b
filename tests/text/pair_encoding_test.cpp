// The tiny tokenizer merges "he", "the" and "in" and nothing else, so ids can be read off the bytes.
#include "harness/text/pair_encoding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/fixtures/temporary_folder.h"
#include "tests/fixtures/tiny_checkpoint.h"

namespace moebench {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr int64_t kBos = 0, kMerged = 258;  // "<s>", "he"

int64_t byte(char character) { return 2 + character; }

class PairEncodingTest : public testing::Test {
 protected:
  // As if the tokenizer's post-processor put BOS in front by default.
  std::unique_ptr<Tokenizer> tokenizer_with_bos() const {
    nlohmann::json json = tiny_tokenizer_json();
    json["post_processor"] = {
        {"type", "TemplateProcessing"},
        {"single",
         {{{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}}, {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}}},
        {"pair", nlohmann::json::array()},
        {"special_tokens", {{"<s>", {{"id", "<s>"}, {"ids", {kBos}}, {"tokens", {"<s>"}}}}}}};
    folder_.write("tokenizer.json", json.dump());
    folder_.write("tokenizer_config.json", R"({"bos_token": "<s>", "eos_token": "</s>"})");
    return Tokenizer::load(folder_.path());
  }

  std::string refusal(const std::string& context, const std::string& continuation) const {
    try {
      encode_pair(*tokenizer_, context, continuation);
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "accepted";
  }

  TemporaryFolder folder_;
  std::unique_ptr<Tokenizer> tokenizer_ = Tokenizer::load(write_tiny_checkpoint(folder_ / "model"));
};

TEST_F(PairEncodingTest, SplitsByTheLengthOfTheContextAlone) {
  const EncodedPair pair = encode_pair(*tokenizer_, "xy", "zhe");
  EXPECT_THAT(pair.ids, ElementsAre(byte('x'), byte('y'), byte('z'), kMerged));
  EXPECT_EQ(pair.num_context, 2);
  EXPECT_FALSE(pair.was_swallowed);
}

TEST_F(PairEncodingTest, WhiteSpaceAtTheEndOfTheContextBelongsToTheContinuation) {
  for (const char* space : {" ", "\n", "\t ", "\xC2\xA0", "\xE3\x80\x80", "\x1F"}) {
    const std::string text(space);
    const EncodedPair pair = encode_pair(*tokenizer_, "x" + text, "y");
    EXPECT_EQ(pair.num_context, 1) << text;
    EXPECT_EQ(pair.ids.size(), 2 + text.size());
  }
}

TEST_F(PairEncodingTest, AMergeAcrossTheJoinIsFedAsLmEvalFeedsIt) {
  // Together "x" "he" "y"; the context alone is "x" "h". What is left after two tokens is "y".
  const EncodedPair pair = encode_pair(*tokenizer_, "xh", "ey");
  EXPECT_THAT(pair.ids, ElementsAre(byte('x'), byte('h'), byte('y')));
  EXPECT_EQ(pair.num_context, 2);
}

TEST_F(PairEncodingTest, AContinuationThatTheJoinSwallowedScoresTheLastJointToken) {
  const EncodedPair pair = encode_pair(*tokenizer_, "xh", "e");
  EXPECT_THAT(pair.ids, ElementsAre(byte('x'), kMerged));
  EXPECT_EQ(pair.num_context, 1);
  EXPECT_TRUE(pair.was_swallowed);
  EXPECT_THAT(encode_pair(*tokenizer_, "h", "e").ids, ElementsAre(kBos, kMerged));
}

TEST_F(PairEncodingTest, AnEmptyContextIsTheBosToken) {
  for (const char* context : {"", "  "}) {
    const EncodedPair pair = encode_pair(*tokenizer_, context, "y");
    EXPECT_EQ(pair.ids.front(), kBos);
    EXPECT_EQ(pair.ids.back(), byte('y'));
    EXPECT_EQ(pair.num_context, 1);
  }
}

TEST_F(PairEncodingTest, AContinuationThatBringsBosAlongGetsNoSecondOne) {
  EXPECT_THAT(encode_pair(*tokenizer_, "", "<s>y").ids, ElementsAre(kBos, byte('y')));
}

TEST_F(PairEncodingTest, ADefaultBosStandsBeforeTheContextOnce) {
  const std::unique_ptr<Tokenizer> tokenizer = tokenizer_with_bos();
  EXPECT_THAT(encode_pair(*tokenizer, "x", "y").ids, ElementsAre(kBos, byte('x'), byte('y')));
  EXPECT_EQ(encode_pair(*tokenizer, "x", "y").num_context, 2);
  EXPECT_THAT(encode_pair(*tokenizer, "<s>x", "y").ids, ElementsAre(kBos, byte('x'), byte('y')));
  EXPECT_THAT(encode_pair(*tokenizer, "", "y").ids, ElementsAre(kBos, byte('y')));
}

TEST_F(PairEncodingTest, AnEmptyContinuationIsRefused) {
  EXPECT_THAT(refusal("x", ""), HasSubstr("the continuation is empty"));
  EXPECT_THAT(refusal("x ", ""), HasSubstr("the continuation is empty"));
}

// What the named versions' own code makes of these pairs with tokenizer_with_bos: _encode_pair, loglikelihood and
// loglikelihood_rolling out of the packages 0.3.0, 0.4.2, 0.4.9.1 and 0.4.13.
struct ProfilePair {
  const char *profile, *context, *continuation;
  std::vector<int64_t> ids;
  int64_t num_context;
};

const ProfilePair kProfilePairs[] = {
    {"0.3", "xh", "ey", {122, 106, 103, 123}, 2},
    {"0.3", "x ", "y", {122, 34, 123}, 2},
    {"0.3", "", "<s>y", {1, 0, 123}, 1},
    {"0.3", "<s>x", "y", {0, 122, 123}, 2},
    {"0.3", "a in ", "the", {99, 34, 261, 34, 259}, 4},
    {"0.4.2", "xh", "ey", {122, 106, 123}, 2},
    {"0.4.2", "x ", "y", {122, 34, 123}, 1},
    {"0.4.2", "", "<s>y", {1, 0, 123}, 1},
    {"0.4.2", "<s>x", "y", {0, 122, 123}, 2},
    {"0.4.2", "a in ", "the", {99, 34, 261, 260}, 3},
    {"0.4.9.1", "xh", "ey", {122, 106, 123}, 2},
    {"0.4.9.1", "x ", "y", {122, 34, 123}, 1},
    {"0.4.9.1", "", "<s>y", {0, 0, 123}, 1},
    {"0.4.9.1", "<s>x", "y", {0, 122, 123}, 2},
    {"0.4.9.1", "a in ", "the", {99, 34, 261, 260}, 3},
    {"0.4.13", "xh", "ey", {0, 122, 106, 123}, 3},
    {"0.4.13", "x ", "y", {0, 122, 34, 123}, 2},
    {"0.4.13", "", "<s>y", {0, 123}, 1},
    {"0.4.13", "<s>x", "y", {0, 122, 123}, 2},
    {"0.4.13", "a in ", "the", {0, 99, 34, 261, 260}, 4},
};

TEST_F(PairEncodingTest, AProfileEncodesPairsAsItsVersionOfLmEval) {
  const std::unique_ptr<Tokenizer> tokenizer = tokenizer_with_bos();
  for (const ProfilePair& expected : kProfilePairs) {
    const EncodedPair pair =
        encode_pair(*tokenizer, expected.context, expected.continuation, encoding_profile(expected.profile));
    EXPECT_EQ(pair.ids, expected.ids) << expected.profile << " '" << expected.context << "'";
    EXPECT_EQ(pair.num_context, expected.num_context) << expected.profile << " '" << expected.context << "'";
  }
}

struct ProfileText {
  const char *profile, *text;
  std::vector<int64_t> ids;
};

const ProfileText kProfileTexts[] = {
    {"0.3", "x the", {1, 122, 260}},
    {"0.3", "<s>x", {1, 0, 122}},
    {"0.4.2", "x the", {1, 122, 260}},
    {"0.4.2", "<s>x", {1, 0, 122}},
    {"0.4.9.1", "x the", {0, 122, 260}},
    {"0.4.9.1", "<s>x", {0, 0, 122}},
    {"0.4.13-repeated-bos", "x the", {0, 0, 122, 260}},
    {"0.4.13-repeated-bos", "<s>x", {0, 0, 122}},
};

TEST_F(PairEncodingTest, AProfileEncodesWholeTextsAsItsVersionOfLmEval) {
  const std::unique_ptr<Tokenizer> tokenizer = tokenizer_with_bos();
  for (const ProfileText& expected : kProfileTexts) {
    EXPECT_EQ(encode_whole(*tokenizer, expected.text, encoding_profile(expected.profile)), expected.ids)
        << expected.profile << " '" << expected.text << "'";
  }
}

TEST_F(PairEncodingTest, TheDefaultProfileScoresNoBosThatTheTextDoesNotHave) {
  EXPECT_THAT(encode_whole(*tokenizer_with_bos(), "y"), ElementsAre(kBos, byte('y')));
  EXPECT_EQ(encode_whole(*tokenizer_with_bos(), "y"), encode_whole(*tokenizer_, "y"));
}

TEST(EncodingProfile, AnUnknownNameIsRefusedWithThoseThatThereAre) {
  try {
    encoding_profile("0.4.8");
    FAIL() << "0.4.8 was accepted";
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), HasSubstr("'0.4.8'; there are 0.3, 0.4.2, 0.4.9.1, 0.4.13"));
  }
}

}  // namespace
}  // namespace moebench
