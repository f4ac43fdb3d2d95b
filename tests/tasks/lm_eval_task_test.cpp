// lm_eval on a tiny model and tasks of a test's own.
#include <cmath>
#include <set>

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "tests/tasks/lm_eval_task_files.h"
#include "tests/tasks/task_fixture.h"

namespace moebench {
namespace {

using testing::HasSubstr;

class LmEvalTaskTest : public TaskFixture {
 protected:
  void SetUp() override {
    TaskFixture::SetUp();
    write_lm_eval_task(folder_, "mine");
  }

  nlohmann::json options(const nlohmann::json& more = nlohmann::json::object()) const {
    nlohmann::json json = {{"tasks", "mine"}, {"include_path", (folder_ / "lm_eval").string()}};
    json.update(more);
    return json;
  }

  std::unique_ptr<Task> create(const nlohmann::json& more = nlohmann::json::object()) const {
    return TaskRegistry::instance().find("lm_eval").create(options(more));
  }

  std::string refusal(const nlohmann::json& more) {
    try {
      measure("lm_eval", options(more));
    } catch (const std::exception& error) {
      return error.what();
    }
    return "accepted";
  }

  // log p(continuation | context), token by token from the model's own logits. The tokenizer is byte by byte.
  double log_likelihood(const std::string& context, const std::string& continuation) const {
    const std::vector<int32_t> ids = tokenizer_->encode(context + continuation);
    const size_t start = tokenizer_->encode(context).size();
    double sum = 0;
    for (size_t position = start; position < ids.size(); ++position) {
      const at::Tensor fed =
          at::tensor(std::vector<int64_t>(ids.begin(), ids.begin() + static_cast<int64_t>(position)));
      const at::Tensor logits = model_->logits(model_->forward(fed.unsqueeze(0)))[0][-1].to(at::kDouble);
      sum += (logits[ids[position]] - logits.logsumexp(0)).item<double>();
    }
    return sum;
  }
};

TEST_F(LmEvalTaskTest, ScoresAreTheModelsOwnLikelihoods) {
  const Measurement measured = measure("lm_eval", options());
  ASSERT_EQ(measured.items.size(), 4u);
  double right = 0;
  for (size_t place = 0; place < 4; ++place) {
    const std::string context = "q" + std::to_string(place) + "?";
    const double no = log_likelihood(context, " no"), yes = log_likelihood(context, " yes");
    const bool is_yes = place % 2 == 1;
    EXPECT_NEAR(measured.items[place].nll, is_yes ? -yes : -no, 1e-4);
    EXPECT_EQ(measured.items[place].correct, (yes > no) == is_yes);
    right += *measured.items[place].correct ? 1 : 0;
  }
  EXPECT_EQ(value(measured, "mine/acc"), right / 4);
  EXPECT_EQ(measured.metrics[0].n, 4);
}

TEST_F(LmEvalTaskTest, LimitAndShotsAreOptions) {
  const Measurement measured = measure("lm_eval", options({{"limit", 3}, {"num_fewshot", 1}}));
  ASSERT_EQ(measured.items.size(), 3u);
  EXPECT_EQ(measured.items[0].task, "mine/1-shot/acc");
}

TEST_F(LmEvalTaskTest, AnotherVersionsEncodingIsNamed) {
  const Measurement measured = measure("lm_eval", options({{"compat", "0.3"}, {"num_fewshot", 1}}));
  EXPECT_EQ(measured.metrics.at(0).name, "mine/lm-eval-0.3/1-shot/acc");
  EXPECT_EQ(measured.items.at(0).task, "mine/lm-eval-0.3/1-shot/acc");
}

TEST_F(LmEvalTaskTest, ASuitesShotsAreNamedAlthoughTheUserAskedForNone) {
  folder_.write("lm_eval/suite.yaml", "group: suite\ntask: [{task: mine, num_fewshot: 1}]\n");
  EXPECT_EQ(measure("lm_eval", options({{"tasks", "suite"}})).metrics.at(0).name, "mine/1-shot/acc");
}

TEST_F(LmEvalTaskTest, TasksAreAListAndMayShareDocuments) {
  write_lm_eval_task(folder_, "other");
  const Measurement measured = measure("lm_eval", options({{"tasks", "mine, other"}}));
  EXPECT_EQ(value(measured, "mine/acc"), value(measured, "other/acc"));
}

TEST_F(LmEvalTaskTest, ProgressReachesItsTotal) {
  write_lm_eval_task(folder_, "other");
  double done = 0, total = 0, last = 0;
  TaskContext context{*model_, *tokenizer_, nullptr, [&](double now, double of_all) {
                        EXPECT_GE(now, last);
                        last = done = now;
                        total = of_all;
                      }};
  create({{"tasks", "mine,other"}})->measure(context);
  EXPECT_EQ(total, 8);
  EXPECT_EQ(done, 8);
}

TEST_F(LmEvalTaskTest, DataHashFollowsDataTaskFileAndGroupButNotTheFolder) {
  folder_.write("lm_eval/all.yaml", "group: all\ntask: [mine]\naggregate_metric_list: [{metric: acc}]\n");
  const auto hash = [&] { return create({{"tasks", "all"}})->data_hash(); };
  std::vector<std::string> hashes = {hash()};
  EXPECT_EQ(hash(), hashes[0]);
  folder_.write("lm_eval/mine/test.jsonl", "{\"question\": \"other\", \"label\": 0}\n");
  hashes.push_back(hash());
  write_lm_eval_task(folder_, "mine", "description: 'Say: '\n");
  hashes.push_back(hash());
  write_lm_eval_task(folder_, "mine");
  folder_.write("lm_eval/all.yaml",
                "group: all\ntask: [mine]\naggregate_metric_list: [{metric: acc, weight_by_size: false}]\n");
  hashes.push_back(hash());
  EXPECT_EQ(std::set<std::string>(hashes.begin(), hashes.end()).size(), 4u);

  write_lm_eval_task(folder_, "mine");
  const std::string here = create()->data_hash();
  std::filesystem::rename(folder_ / "lm_eval", folder_ / "moved");
  EXPECT_EQ(create({{"include_path", (folder_ / "moved").string()}})->data_hash(), here);
}

TEST_F(LmEvalTaskTest, OptionsThatDoNotFitAreRefusedOnCreation) {
  const auto refused = [&](const nlohmann::json& more) {
    try {
      create(more);
    } catch (const std::invalid_argument& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_THAT(refused({{"tasks", "mina"}}), HasSubstr("did you mean 'mine'"));
  EXPECT_THAT(refused({{"tasks", ""}}), HasSubstr("option 'tasks' must be names separated by commas"));
  EXPECT_THAT(refused({{"tasks", "mine,,mine"}}), HasSubstr("option 'tasks' must be names"));
  EXPECT_THAT(refused({{"num_fewshot", -2}}), HasSubstr("option 'num_fewshot' must be -1 or more, not -2"));
  EXPECT_THAT(refused({{"limit", -1}}), HasSubstr("option 'limit' must be 0 or more"));
  EXPECT_THAT(refused({{"max_length", -1}}), HasSubstr("option 'max_length' must be 0 or more"));
}

TEST_F(LmEvalTaskTest, DataThatIsWrongIsNamedBeforeAModelIsNeeded) {
  folder_.write("lm_eval/mine/test.jsonl", "{\"question\": \"q\", \"label\": 7}\n");
  EXPECT_THAT([&] { create()->data_hash(); },
              testing::ThrowsMessage<std::runtime_error>(HasSubstr("task mine: document 0 of test: label 7")));
  std::filesystem::remove(folder_ / "lm_eval/mine/test.jsonl");
  EXPECT_THROW(create()->data_hash(), std::runtime_error);
}

TEST_F(LmEvalTaskTest, AContinuationThatDoesNotFitNamesItsTask) {
  EXPECT_THAT(refusal({{"max_length", 2}}), testing::AllOf(HasSubstr("lm_eval of mine: document"), HasSubstr("2")));
}

}  // namespace
}  // namespace moebench
