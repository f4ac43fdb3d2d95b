// Task files as data: YAML as PyYAML reads it, includes, definitions with their defaults, and what is refused.
#include "harness/lm_eval/task_file.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/lm_eval/task_definition.h"
#include "harness/lm_eval/task_library.h"
#include "tests/fixtures/refusal.h"
#include "tests/fixtures/temporary_folder.h"

namespace moebench {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::ordered_json;

class TaskFileTest : public ::testing::Test {
 protected:
  Json read(const std::string& text) { return read_task_file(folder_.write("task.yaml", text)); }
  TaskDefinition define(const std::string& text) {
    return parse_task_definition(read(text), "task.yaml", folder_.path());
  }
  // Of a file with everything a task must have, and these lines.
  TaskDefinition define_with(const std::string& lines) { return define(kMinimal + lines); }

  const std::string kMinimal =
      "task: mine\ndataset_path: json\ntest_split: test\noutput_type: multiple_choice\n"
      "doc_to_text: question\ndoc_to_target: label\ndoc_to_choice: [a, b]\n";
  const TemporaryFolder folder_;
};

TEST_F(TaskFileTest, PlainWordsHaveYaml11sTypes) {
  EXPECT_EQ(read("a: [no, Yes, off, ~, null, '', 'no', \"1\", 1, -2, 1.0, 1e3, .5, x.y, 2020-01-01]\nb:\n"),
            Json::parse(R"({"a": [false, true, false, null, null, "", "no", "1", 1, -2, 1.0, "1e3", 0.5, "x.y",
                                   "2020-01-01"], "b": null})"));
}

TEST_F(TaskFileTest, TextsKeepTheirNewlines) {
  EXPECT_EQ(read("a: \"x\\ny\\n\\\n  z\"\nb: |\n  one\n  two\nc: >-\n  one\n  two\n"),
            Json::parse(R"({"a": "x\ny\nz", "b": "one\ntwo\n", "c": "one two"})"));
}

TEST_F(TaskFileTest, OwnKeysGoBeforeIncludedOnes) {
  folder_.write("base.yaml", "one: 1\ntwo: 2\ntask_list: [{task: x}]\n");
  folder_.write("more.yaml", "two: 3\nthree: 3\n");
  EXPECT_EQ(read("include: [base.yaml, more.yaml]\nthree: 4\n"), Json::parse(R"({"one": 1, "two": 3, "three": 4})"));
}

TEST_F(TaskFileTest, BuiltInFilesCanBeIncluded) {
  const Json config = read("include: arc_easy.yaml\ntask: mine\n");
  EXPECT_EQ(config["task"], "mine");
  EXPECT_EQ(config["dataset_name"], "ARC-Easy");
}

TEST_F(TaskFileTest, WhatIsNotAMappingOfKeysIsRefused) {
  EXPECT_THAT(refusal([&] { read("- a\n"); }), HasSubstr("task.yaml: must be a mapping"));
  EXPECT_THAT(refusal([&] { read("a: 1\nb: [\n"); }), HasSubstr("task.yaml: line "));
  EXPECT_THAT(refusal([&] { read("a: 1\na: 2\n"); }), HasSubstr("task.yaml: line 2: 'a' stands twice"));
  EXPECT_THAT(refusal([&] { read("a: !!python/object x\n"); }), HasSubstr("is not supported"));
  EXPECT_THAT(refusal([&] { read("a: 007\n"); }), HasSubstr("put it in quotes"));
  EXPECT_THAT(refusal([&] { read("include: task.yaml\n"); }), HasSubstr("is included twice or by itself"));
  EXPECT_THAT(refusal([&] { read("include: nowhere.yaml\n"); }),
              HasSubstr("includes 'nowhere.yaml', which is neither"));
}

TEST_F(TaskFileTest, AliasesThatMultiplyAreRefused) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int level = 1; level < 9; ++level) {
    const std::string below = "*a" + std::to_string(level - 1);
    bomb += "a" + std::to_string(level) + ": &a" + std::to_string(level) + " [" + below;
    for (int copy = 1; copy < 10; ++copy) bomb += ", " + below;
    bomb += "]\n";
  }
  EXPECT_THAT(refusal([&] { read(bomb); }), HasSubstr("too many"));
}

TEST_F(TaskFileTest, MissingKeysAreLmEvalsDefaults) {
  const TaskDefinition definition = define_with("");
  EXPECT_EQ(definition.target_delimiter, " ");
  EXPECT_EQ(definition.fewshot.fewshot_delimiter, "\n\n");
  EXPECT_EQ(definition.fewshot.sampler, "default");
  EXPECT_EQ(definition.metric_list, Json::parse(R"([{"metric": "acc"}, {"metric": "acc_norm"}])"));
  EXPECT_FALSE(definition.num_fewshot.has_value());
  EXPECT_EQ(
      define("task: a\ndataset_path: json\ntest_split: test\ndoc_to_text: q\ndoc_to_target: a\n").generation_kwargs,
      Json::parse(R"({"temperature": 0.0, "do_sample": false, "max_gen_toks": 256, "until": ["\n\n"]})"));
}

TEST_F(TaskFileTest, FewshotConfigGoesBeforeTheTasksKeys) {
  const FewshotDefinition fewshot =
      define_with("target_delimiter: ': '\nfewshot_config: {sampler: first_n, split: dev, doc_to_text: other}\n")
          .fewshot;
  EXPECT_EQ(fewshot.sampler, "first_n");
  EXPECT_EQ(fewshot.split, "dev");
  EXPECT_EQ(fewshot.doc_to_text.source, "other");
  EXPECT_EQ(fewshot.doc_to_target.source, "label");
  EXPECT_EQ(fewshot.target_delimiter, ": ");
}

// What lm-eval 0.4.13's dump_config() gives for its own piqa.yaml, but for where it found the file.
TEST_F(TaskFileTest, ConfigIsShownAsLmEvalShowsIt) {
  EXPECT_EQ(TaskLibrary().select({"piqa"}).tasks[0].config.dump(), Json::parse(R"--(
      {"task": "piqa", "dataset_path": "baber/piqa", "training_split": "train",
      "validation_split": "validation", "doc_to_text": "Question: {{goal}}\nAnswer:",
      "doc_to_target": "label", "unsafe_code": false, "doc_to_choice": "{{[sol1, sol2]}}", "description": "",
      "target_delimiter": " ", "fewshot_delimiter": "\n\n", "fewshot_config": {"sampler": "default",
      "split": null, "process_docs": null, "fewshot_indices": null, "samples": null,
      "doc_to_text": "Question: {{goal}}\nAnswer:", "doc_to_choice": "{{[sol1, sol2]}}",
      "doc_to_target": "label", "gen_prefix": null, "fewshot_delimiter": "\n\n", "target_delimiter": " "},
      "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": true},
      {"metric": "acc_norm", "aggregation": "mean", "higher_is_better": true}],
      "output_type": "multiple_choice", "repeats": 1, "should_decontaminate": true,
      "doc_to_decontamination_query": "goal", "metadata": {"version": 1.0}})--")
                                                                       .dump());
}

TEST_F(TaskFileTest, UnknownAndForeignKeysAreRefusedByName) {
  EXPECT_THAT(refusal([&] { define_with("doc_to_txt: x\n"); }),
              HasSubstr("task.yaml: unknown key 'doc_to_txt'; did you mean 'doc_to_text'?"));
  EXPECT_THAT(refusal([&] { define_with("doc_to_image: x\n"); }),
              HasSubstr("'doc_to_image' of lm-eval is not supported"));
  EXPECT_THAT(refusal([&] { define_with("fewshot_config: {spilt: dev}\n"); }),
              HasSubstr("fewshot_config: unknown key 'spilt'; did you mean 'split'?"));
}

TEST_F(TaskFileTest, WrongValuesAreRefusedByKey) {
  EXPECT_THAT(refusal([&] { define_with("num_fewshot: -1\n"); }), HasSubstr("'num_fewshot' must be 0 or more"));
  EXPECT_THAT(refusal([&] { define_with("repeats: 3\n"); }), HasSubstr("'repeats' must be 1"));
  EXPECT_THAT(refusal([&] { define_with("metric_list: [acc]\n"); }),
              HasSubstr("'metric_list' must be a list of mappings"));
  EXPECT_THAT(refusal([&] { define("task: a\ndataset_path: json\noutput_type: multiple\n"); }),
              HasSubstr("'output_type' is 'multiple'; known: multiple_choice"));
  EXPECT_THAT(refusal([&] { define("dataset_path: json\n"); }), HasSubstr("'task' is missing"));
  const std::string generating = "task: a\ndataset_path: json\ntest_split: test\ndoc_to_text: q\ndoc_to_target: a\n";
  EXPECT_THAT(refusal([&] { define(generating + "generation_kwargs: {until: [1]}\n"); }), HasSubstr("until"));
  for (const std::string count : {"0", "-5", "1.5", "many", "9999999999999"}) {
    EXPECT_THAT(refusal([&] { define(generating + "generation_kwargs: {max_gen_toks: " + count + "}\n"); }),
                HasSubstr("max_gen_toks"));
  }
}

TEST_F(TaskFileTest, FunctionsAreBuiltInOrRefusedByName) {
  const std::string task = "task: a\ntest_split: test\ndoc_to_text: q\ndoc_to_target: a\n";
  EXPECT_EQ(define(task + "dataset_path: Rowan/hellaswag\nprocess_docs: !function utils.process_docs\n").process_docs,
            "hellaswag.process_docs");
  EXPECT_EQ(define(task + "dataset_path: json\nprocess_docs: !function hellaswag.process_docs\n").process_docs,
            "hellaswag.process_docs");
  EXPECT_THAT(
      refusal([&] { define(task + "dataset_path: json\nprocess_docs: !function utils.process_docs\n"); }),
      HasSubstr("'process_docs' !function utils.process_docs is Python and not built in; these are: hellaswag."));
}

}  // namespace
}  // namespace moebench
