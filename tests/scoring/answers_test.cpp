// Answers to many documents, which are scored so many tokens at a time.
#include "harness/scoring/answers.h"

#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/model/llama.h"
#include "tests/fixtures/temporary_folder.h"
#include "tests/fixtures/tiny_checkpoint.h"

namespace moebench {
namespace {

class AnswersTest : public testing::Test {
 protected:
  Answers answered(OutputType type, const std::vector<EvaluatedDocument>& documents) const {
    return answer(model_, *tokenizer_, type, documents, {.max_length = 500, .progress = [&](double fraction) {
                                                           EXPECT_GE(fraction, progress_);
                                                           progress_ = fraction == 1 ? 0 : fraction;
                                                         }});
  }

  // Every 90th of them by itself.
  void expect_as_alone(OutputType type, const std::vector<EvaluatedDocument>& documents) const {
    const Answers all = answered(type, documents);
    ASSERT_EQ(all.responses.size(), documents.size());
    for (size_t place = 0; place < documents.size(); place += 90) {
      const Answers alone = answered(type, {documents[place]});
      for (size_t instance = 0; instance < documents[place].instances.size(); ++instance) {
        const Response &one = all.responses[place].at(instance), &other = alone.responses[0].at(instance);
        EXPECT_EQ(one.loglikelihood, other.loglikelihood) << place;
        EXPECT_EQ(one.is_greedy, other.is_greedy) << place;
      }
    }
  }

  const TemporaryFolder folder_;
  const std::filesystem::path path_ = write_tiny_checkpoint(folder_ / "model");
  const LlamaModel model_ = LlamaModel::load(*open_checkpoint(path_), {});
  const std::unique_ptr<const Tokenizer> tokenizer_ = Tokenizer::load(path_);
  mutable double progress_ = 0;
};

// 2700 requests of some 450 tokens, more than are held at a time; what they begin with is computed once.
TEST_F(AnswersTest, ManyDocumentsGetTheAnswersThatEachGetsByItself) {
  const auto examples = std::make_shared<const std::string>(450, 'e');
  std::vector<EvaluatedDocument> documents;
  for (int64_t place = 0; place < 900; ++place) {
    documents.push_back({.doc_id = place,
                         .before = {examples},
                         .instances = {{std::to_string(place), " a"}, {std::to_string(place), " bc"}, {"x", "y"}}});
  }
  expect_as_alone(OutputType::kMultipleChoice, documents);
}

TEST_F(AnswersTest, APageIsTheSumOfItsWindows) {
  const std::string page(1200, 'p');  // two windows and a part
  const Answers answers = answered(OutputType::kLoglikelihoodRolling, {{.instances = {{"", page}}}});
  double sum = 0;
  for (const TokenScores& scores : score(model_, rolling_requests(encode_whole(*tokenizer_, page), 500))) {
    sum += scores.sum();
  }
  EXPECT_EQ(answers.responses.at(0).at(0).loglikelihood, sum);
  EXPECT_LT(sum, 0);
}

TEST_F(AnswersTest, WhatCannotBeAskedNamesItsDocument) {
  const std::vector<EvaluatedDocument> documents = {{.doc_id = 0, .instances = {{"a", " b"}}},
                                                    {.doc_id = 7, .instances = {{"a", std::string(600, 'b')}}}};
  EXPECT_THAT([&] { answered(OutputType::kMultipleChoice, documents); },
              testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr("document 7: the continuation has")));
}

}  // namespace
}  // namespace moebench
