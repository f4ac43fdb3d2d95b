// The requests of lm-evaluation-harness 0.3, by the hashes in its repository (tests/testdata): documents in their
// order, shuffled with seed 42, every request. It had other prompts for a few tasks, which stand here as task files.
#include <fstream>
#include <map>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/cache_folder.h"
#include "harness/content_hash.h"
#include "harness/lm_eval/document_builder.h"
#include "harness/lm_eval/python_json.h"
#include "harness/lm_eval/task_library.h"
#include "harness/text/python_random.h"
#include "tests/fixtures/temporary_folder.h"
#include "tests/lm_eval/task_data_fixture.h"

namespace moebench {
namespace {

using Json = nlohmann::ordered_json;

const std::filesystem::path kGolden = kSharedData / "golden" / "lm_eval_v0.3_random_scorer.json";

Json golden() { return Json::parse(std::ifstream(kGolden)); }

// Request lists as 0.3 had them: rolling texts alone, generation with its stop strings, LAMBADA's twice.
Json requests_of(const EvaluatedDocument& document, OutputType type) {
  Json requests = Json::array();
  for (size_t place = 0; place < document.instances.size(); ++place) {
    const Instance instance = document.request(place);
    switch (type) {
      case OutputType::kMultipleChoice:
        requests.push_back({instance.context, instance.continuation});
        break;
      case OutputType::kLoglikelihood:
        for (int copy = 0; copy < 2; ++copy) requests.push_back({instance.context, instance.continuation});
        break;
      case OutputType::kLoglikelihoodRolling:
        requests.push_back(Json::array({instance.continuation}));
        break;
      case OutputType::kGenerateUntil:
        requests.push_back({instance.context, Json::array({"\n"})});
        break;
    }
  }
  return requests;
}

std::string request_hash(const TaskDefinition& definition) {
  std::vector<EvaluatedDocument> documents = build_documents(definition, 0, std::nullopt).documents;
  PythonRandom random(42);
  random.shuffle(documents);
  Json requests = Json::array();
  for (const EvaluatedDocument& document : documents) {
    for (Json& request : requests_of(document, definition.output_type)) requests.push_back(std::move(request));
  }
  return content_hash(std::string_view(python_json(requests)));
}

class RequestGoldenTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kGolden)) GTEST_SKIP() << "needs " << kGolden;
  }

  void expect_hash(const TaskLibrary& library, const std::string& task, const std::string& name) {
    EXPECT_EQ(request_hash(library.select({task}).tasks.at(0)),
              golden().at(name).at("requests_sha256").get<std::string>())
        << task;
  }

  DataFolder data{kSharedData};
};

TEST_F(RequestGoldenTest, TasksWhosePromptsDidNotChangeHashAsThen) {
  const TaskLibrary library;
  for (const auto& [task, name] : std::map<std::string, std::string>{{"arc_easy", "arc_easy-v0"},
                                                                     {"arc_challenge", "arc_challenge-v0"},
                                                                     {"piqa", "piqa-v0"},
                                                                     {"openbookqa", "openbookqa-v0"},
                                                                     {"logiqa", "logiqa-v0"},
                                                                     {"winogrande", "winogrande-v0"},
                                                                     {"lambada_openai", "lambada_openai-v0"},
                                                                     {"rte", "rte-v0"},
                                                                     {"wikitext", "wikitext-v1"},
                                                                     {"gsm8k", "gsm8k-v0"}}) {
    expect_hash(library, task, name);
  }
}

TEST_F(RequestGoldenTest, TasksWhosePromptsChangedHashAsThenWithTheOldPrompts) {
  const TemporaryFolder folder;
  folder.write("old_boolq.yaml",
               "include: boolq.yaml\ntask: old_boolq\ndoc_to_target: '{{1 - label}}'\ndoc_to_choice: ['yes', 'no']\n");
  folder.write("old_copa.yaml", "include: copa.yaml\ntask: old_copa\ntarget_delimiter: ''\n");
  TaskLibrary library;
  library.add_folder(folder.path());
  expect_hash(library, "old_boolq", "boolq-v1");
  expect_hash(library, "old_copa", "copa-v0");
}

TEST_F(RequestGoldenTest, AllSubjectsOfMmluHashAsThenWithTheOldPrompt) {
  const TemporaryFolder folder;
  folder.write("old_mmlu.yaml", R"(
group: old_mmlu
task: [mmlu_stem_tasks, mmlu_other_tasks, mmlu_social_sciences_tasks, mmlu_humanities_tasks]
description: ""
doc_to_choice: choices
doc_to_text: >-
  {{'Question: ' ~ question ~ '\nChoices:\n'}}
  {%- for choice in choices %}{{'ABCD'[loop.index0] ~ '. ' ~ choice ~ '\n'}}{% endfor %}Answer:
)");
  TaskLibrary library;
  library.add_folder(folder.path());
  const Json all = golden();
  const TaskSelection selection = library.select({"old_mmlu"});
  ASSERT_EQ(selection.tasks.size(), 57u);
  for (const TaskDefinition& definition : selection.tasks) {
    const std::string name = "hendrycksTest-" + definition.dataset_name + "-v0";
    EXPECT_EQ(request_hash(definition), all.at(name).at("requests_sha256").get<std::string>()) << name;
  }
}

// scripts/fetch tasks brings the original fields, which the hash needs.
TEST_F(RequestGoldenTest, HellaswagHashesAsThen) {
  if (!std::filesystem::exists(cache_folder() / "tasks" / "hellaswag")) GTEST_SKIP() << "needs scripts/fetch tasks";
  unsetenv("MOEBENCH_DATA");
  expect_hash(TaskLibrary(), "hellaswag", "hellaswag-v0");
}

}  // namespace
}  // namespace moebench
