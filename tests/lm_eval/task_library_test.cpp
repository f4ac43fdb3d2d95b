// Tasks by name, group, tag and glob.
#include "harness/lm_eval/task_library.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/fixtures/refusal.h"
#include "tests/fixtures/temporary_folder.h"

namespace moebench {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::SizeIs;

std::vector<std::string> task_names(const TaskSelection& selection) {
  std::vector<std::string> names;
  for (const TaskDefinition& definition : selection.tasks) names.push_back(definition.task);
  return names;
}

std::vector<std::string> group_names(const TaskSelection& selection) {
  std::vector<std::string> names;
  for (const TaskGroup& group : selection.groups) names.push_back(group.name);
  return names;
}

const TaskLibrary& built_in() {
  static const TaskLibrary kLibrary;
  return kLibrary;
}

std::string selection_error(const TaskLibrary& library, const std::vector<std::string>& names) {
  try {
    library.select(names);
  } catch (const std::exception& error) {
    return error.what();
  }
  return "accepted";
}

TEST(TaskLibraryTest, EveryBuiltInNameCanBeSelected) {
  for (const std::string& name : built_in().names()) EXPECT_FALSE(built_in().select({name}).tasks.empty()) << name;
  EXPECT_THAT(
      built_in().names(),
      IsSupersetOf({"arc_easy", "arc_challenge",  "piqa",     "hellaswag",  "winogrande", "boolq", "sciq", "openbookqa",
                    "logiqa",   "lambada_openai", "wikitext", "mmlu",       "gsm8k",      "copa",  "rte",  "sglue_rte",
                    "cmoe",     "llama-moe",      "wanda",    "openllm-v1", "quick"}));
}

TEST(TaskLibraryTest, MmluIsFourGroupsOf57Subjects) {
  const TaskSelection selection = built_in().select({"mmlu"});
  EXPECT_THAT(selection.tasks, SizeIs(57));
  EXPECT_THAT(group_names(selection),
              ElementsAre("mmlu", "mmlu_stem", "mmlu_other", "mmlu_social_sciences", "mmlu_humanities"));
  std::vector<size_t> sizes;
  for (const TaskGroup& group : selection.groups) sizes.push_back(group.members.size());
  EXPECT_THAT(sizes, ElementsAre(4, 19, 13, 12, 13));
  EXPECT_EQ(selection.groups[1].alias, "stem");
  EXPECT_EQ(selection.groups[1].version, 2);
}

TEST(TaskLibraryTest, SuitesPinShotsAndMetrics) {
  const TaskSelection cmoe = built_in().select({"cmoe"});
  EXPECT_THAT(task_names(cmoe), ElementsAre("winogrande", "arc_challenge", "hellaswag", "sciq", "piqa", "boolq"));
  EXPECT_EQ(cmoe.tasks[1].num_fewshot, 25);
  EXPECT_EQ(cmoe.tasks[1].metric_list, nlohmann::ordered_json::parse(R"([{"metric": "acc_norm"}])"));
  for (const TaskDefinition& definition : built_in().select({"wanda"}).tasks) {
    EXPECT_EQ(definition.num_fewshot, 0) << definition.task;
    EXPECT_EQ(definition.metric_list, nlohmann::ordered_json::parse(R"([{"metric": "acc"}])")) << definition.task;
  }
  EXPECT_EQ(built_in().select({"openllm-v1"}).tasks[2].num_fewshot, 5);  // a subject, through its groups
}

TEST(TaskLibraryTest, TagsAndGlobsAreTheirTasks) {
  EXPECT_THAT(task_names(built_in().select({"ai2_arc"})), ElementsAre("arc_challenge", "arc_easy"));
  EXPECT_THAT(task_names(built_in().select({"arc_*", "arc_easy"})), ElementsAre("arc_challenge", "arc_easy"));
}

TEST(TaskLibraryTest, UnknownNamesAreRefusedWithASuggestion) {
  EXPECT_THAT(selection_error(built_in(), {"arc_esay"}),
              HasSubstr("unknown task 'arc_esay'; did you mean 'arc_easy'?"));
  EXPECT_THAT(selection_error(built_in(), {"zzz*"}), HasSubstr("no task matches 'zzz*'"));
}

TEST(TaskLibraryTest, ATaskWithTwoSettingsIsRefused) {
  EXPECT_THAT(selection_error(built_in(), {"hellaswag", "cmoe"}), HasSubstr("hellaswag: is asked for twice"));
}

TEST(TaskLibraryTest, AFoldersFilesAddAndReplaceTasks) {
  const TemporaryFolder folder;
  folder.write("deep/mine.yaml", "include: piqa.yaml\ntask: mine\ntag: own\n");
  folder.write("piqa.yaml", "include: arc_easy.yaml\ntask: piqa\n");
  folder.write("_template.yaml", "dataset_path: json\n");
  folder.write("group.yaml", R"(
group: all_mine
task:
  - mine
  - {task: new, include_me: 1}
)");
  TaskLibrary library;
  library.add_folder(folder.path());
  EXPECT_THAT(library.names(), IsSupersetOf({"mine", "own", "all_mine"}));
  EXPECT_EQ(library.select({"piqa"}).tasks[0].dataset_name, "ARC-Easy");
  EXPECT_THAT(selection_error(library, {"all_mine"}), HasSubstr("group.yaml: unknown key 'include_me'"));
}

TEST(TaskLibraryTest, GroupsInsideThemselvesAreRefused) {
  const TemporaryFolder folder;
  folder.write("one.yaml", "group: one\ntask: [two]\n");
  folder.write("two.yaml", "group: two\ntask: [one]\n");
  TaskLibrary library;
  library.add_folder(folder.path());
  EXPECT_THAT(selection_error(library, {"one"}), HasSubstr("group one is inside itself"));
}

}  // namespace
}  // namespace moebench
