// What every registered task keeps, also one that is added tomorrow.
#include <cmath>
#include <set>

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "tests/tasks/lm_eval_task_files.h"
#include "tests/tasks/task_fixture.h"
#include "tests/tasks/tiny_conversions.h"

namespace moebench {
namespace {

class TaskContractTest : public TaskFixture {
 protected:
  void SetUp() override {
    TaskFixture::SetUp();
    write_lm_eval_task(folder_, "mine");
  }

  // Small enough for the tiny model, in whatever of these the task has.
  nlohmann::json options(const std::string& task) const {
    const nlohmann::json small = {{"text", text_.string()},
                                  {"window", 16},
                                  {"stride", 8},
                                  {"max_windows", 3},
                                  {"tasks", "mine"},
                                  {"tokens", "1,4"},
                                  {"prefill", 8},
                                  {"decode", 2},
                                  {"seconds", 0},
                                  {"min_rounds", 3},
                                  {"include_path", (folder_ / "lm_eval").string()}};
    nlohmann::json result = nlohmann::json::object();
    for (const OptionDescription& option : TaskRegistry::instance().find(task).options) {
      if (small.contains(option.name)) result[option.name] = small[option.name];
    }
    return result;
  }

  at::Tensor logits() const { return model_->logits(model_->forward(at::arange(20, at::kLong).unsqueeze(0))); }
};

std::vector<std::string> names() { return TaskRegistry::instance().names(); }

TEST_F(TaskContractTest, TheTasksAreRegistered) {
  EXPECT_THAT(names(), testing::IsSupersetOf({"activated_parameters", "end_to_end", "expert_load", "kernel_latency",
                                              "lm_eval", "perplexity"}));
}

TEST_F(TaskContractTest, EveryTaskSaysWhatItIs) {
  for (const std::string& name : names()) {
    const TaskRegistry::Entry& entry = TaskRegistry::instance().find(name);
    EXPECT_FALSE(entry.summary.empty()) << name;
    EXPECT_EQ(entry.summary.find('\n'), std::string::npos) << name;
    for (const OptionDescription& option : entry.options) EXPECT_FALSE(option.help.empty()) << name << option.name;
  }
}

TEST_F(TaskContractTest, UnknownOptionsAreRefused) {
  for (const std::string& name : names()) {
    EXPECT_THROW(TaskRegistry::instance().find(name).create({{"no_such_option", 1}}), std::invalid_argument) << name;
  }
}

TEST_F(TaskContractTest, OptionsThatNoTextCouldFitAreRefusedOnCreation) {
  for (const std::string& name : names()) {
    for (const auto& [option, value] : {std::pair("window", 1), {"window", -1}, {"max_windows", -1}}) {
      nlohmann::json bad = options(name);
      if (!bad.contains(option)) continue;
      bad[option] = value;
      EXPECT_THAT(
          [&] { TaskRegistry::instance().find(name).create(bad); },
          testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr(name + ": option '" + option + "' must")));
    }
  }
}

TEST_F(TaskContractTest, MissingTextIsRefusedBeforeAnythingIsComputed) {
  for (const std::string& name : names()) {
    nlohmann::json with_missing = options(name);
    if (!with_missing.contains("text")) continue;
    with_missing["text"] = (folder_ / "missing.txt").string();
    EXPECT_THROW(TaskRegistry::instance().find(name).create(with_missing)->data_hash(), std::exception) << name;
  }
}

TEST_F(TaskContractTest, DataHashFollowsTheText) {
  for (const std::string& name : names()) {
    if (!options(name).contains("text")) continue;
    const auto hash = [&] { return TaskRegistry::instance().find(name).create(options(name))->data_hash(); };
    const std::string before = hash();
    EXPECT_EQ(hash(), before);
    write_text("another text");
    EXPECT_NE(hash(), before) << name;
    write_text("another text again");
  }
}

TEST_F(TaskContractTest, MetricsAreFiniteAndNameTheirProtocol) {
  apply(token_dependent_conversion());
  for (const std::string& name : names()) {
    std::set<std::string> seen;
    for (const Metric& metric : measure(name, options(name)).metrics) {
      EXPECT_TRUE(std::isfinite(metric.value)) << metric.name;
      EXPECT_TRUE(seen.insert(metric.name).second) << metric.name << " twice";
      EXPECT_THAT(metric.name, testing::MatchesRegex("[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*"));
      EXPECT_THAT(metric.name, testing::Not(testing::AnyOf("ppl", "nll", "acc", "perplexity")));
      EXPECT_GE(metric.n, 1) << metric.name;
    }
    EXPECT_FALSE(seen.empty()) << name;
  }
}

TEST_F(TaskContractTest, MeasuringTwiceGivesTheSameBits) {
  apply(token_dependent_conversion());
  for (const std::string& name : names()) {
    if (TaskRegistry::instance().find(name).create(options(name))->measures_time()) continue;
    const Measurement first = measure(name, options(name)), second = measure(name, options(name));
    ASSERT_EQ(first.metrics.size(), second.metrics.size()) << name;
    for (size_t metric = 0; metric < first.metrics.size(); ++metric) {
      EXPECT_EQ(first.metrics[metric].value, second.metrics[metric].value) << first.metrics[metric].name;
    }
    ASSERT_EQ(first.items.size(), second.items.size()) << name;
    for (size_t item = 0; item < first.items.size(); ++item) EXPECT_EQ(first.items[item].nll, second.items[item].nll);
  }
}

TEST_F(TaskContractTest, ItemsAreOfAMetricAndThereOnce) {
  for (const std::string& name : names()) {
    const Measurement measured = measure(name, options(name));
    std::set<std::pair<std::string, std::string>> seen;
    for (const Item& item : measured.items) {
      EXPECT_TRUE(seen.insert({item.task, item.id}).second) << item.task << " " << item.id << " twice";
      EXPECT_TRUE(item.correct.has_value() || item.tokens > 0) << item.task << " " << item.id << " says nothing";
      const auto is_its = [&](const Metric& metric) { return metric.name.starts_with(item.task); };
      EXPECT_TRUE(std::any_of(measured.metrics.begin(), measured.metrics.end(), is_its)) << item.task;
    }
  }
}

TEST_F(TaskContractTest, TheModelStaysAsItWas) {
  apply(token_dependent_conversion());
  const at::Tensor before = logits();
  for (const std::string& name : names()) {
    measure(name, options(name));
    EXPECT_TRUE(at::equal(logits(), before)) << name;
  }
}

}  // namespace
}  // namespace moebench
