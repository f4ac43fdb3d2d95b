// From small data sets to requests.
#include "harness/lm_eval/document_builder.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/lm_eval/task_library.h"
#include "tests/fixtures/temporary_folder.h"
#include "tests/lm_eval/task_data_fixture.h"

namespace moebench {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Json = nlohmann::ordered_json;

class DocumentBuilderTest : public ::testing::Test {
 protected:
  TaskDocuments build(const std::string& task, std::optional<int64_t> num_fewshot = std::nullopt,
                      std::optional<int64_t> limit = std::nullopt) {
    TaskLibrary library;
    library.add_folder(folder_.path());
    return build_documents(library.select({task}).tasks.at(0), num_fewshot, limit);
  }

  std::string build_error(const std::string& task, std::optional<int64_t> num_fewshot = std::nullopt,
                          std::optional<int64_t> limit = std::nullopt) {
    try {
      build(task, num_fewshot, limit);
    } catch (const std::exception& error) {
      return error.what();
    }
    return "accepted";
  }

  // A task "mine" on test.jsonl and train.jsonl of questions q0, q1, … with the answers yes and no in turn.
  void write_task(const std::string& lines = "") {
    folder_.write("mine.yaml",
                  "task: mine\ndataset_path: json\ntest_split: test\ntraining_split: train\n"
                  "dataset_kwargs: {data_files: {test: test.jsonl, train: [train.jsonl]}}\n"
                  "output_type: multiple_choice\ndoc_to_text: '{{question}}?'\ndoc_to_target: label\n"
                  "doc_to_choice: [\"no\", \"yes\"]\n" +
                      lines);
    folder_.write("test.jsonl", questions("q", 3));
    folder_.write("train.jsonl", questions("t", 20));
  }

  static std::string questions(const std::string& prefix, int count) {
    std::string lines;
    for (int place = 0; place < count; ++place) {
      lines += Json{{"question", prefix + std::to_string(place)}, {"label", place % 2}}.dump() + "\n";
    }
    return lines;
  }

  const TemporaryFolder folder_;
  const DataFolder data_{folder_.path()};
};

TEST_F(DocumentBuilderTest, MultipleChoiceHasOneRequestAChoice) {
  write_task("description: \"About {{question}}.\\n\"\n");
  const TaskDocuments built = build("mine");
  ASSERT_EQ(built.documents.size(), 3u);
  EXPECT_EQ(built.documents[1].gold, 1);
  EXPECT_EQ(built.documents[1].target, "1");
  EXPECT_THAT(built.documents[1].choices, ElementsAre("no", "yes"));
  EXPECT_EQ(built.documents[1].request(1).context, "About q1.\nq1?");
  EXPECT_EQ(built.documents[1].request(1).continuation, " yes");
}

// Python's random.Random(1234).sample(range(20), 2) is 14, 3 the first time and 0, 2 the second.
TEST_F(DocumentBuilderTest, ExamplesAreDrawnAnewForEveryDocument) {
  write_task();
  const TaskDocuments built = build("mine", 2);
  EXPECT_EQ(built.documents[0].request(0).context, "t14? no\n\nt3? yes\n\nq0?");
  EXPECT_EQ(built.documents[1].request(0).context, "t0? no\n\nt2? no\n\nq1?");
  EXPECT_EQ(built.num_fewshot, 2);
}

TEST_F(DocumentBuilderTest, ALimitKeepsTheFirstDocumentsAndTheirExamples) {
  write_task();
  const TaskDocuments all = build("mine", 3), two = build("mine", 3, 2);
  ASSERT_EQ(two.documents.size(), 2u);
  EXPECT_EQ(two.num_available, 3);
  EXPECT_EQ(two.documents[1].request(0).context, all.documents[1].request(0).context);
}

TEST_F(DocumentBuilderTest, FirstNTakesThePoolsOrder) {
  write_task("fewshot_config: {sampler: first_n, target_delimiter: '=', fewshot_delimiter: ';'}\n");
  EXPECT_EQ(build("mine", 2).documents[2].request(0).context, "t0?=no;t1?=yes;q2?");
}

TEST_F(DocumentBuilderTest, ExamplesOfTheEvaluatedSplitLeaveTheDocumentOut) {
  write_task("fewshot_split: test\n");
  for (const EvaluatedDocument& document : build("mine", 2).documents) {
    const std::string context = document.request(0).context;
    const std::string question = document.doc["question"];
    EXPECT_EQ(context.find(question), context.rfind(question)) << context;
  }
  EXPECT_THAT(build_error("mine", 3), HasSubstr("3 examples are asked for, the pool has 3 documents, of which one"));
}

TEST_F(DocumentBuilderTest, ATaskThatPinsNoExamplesHasNone) {
  write_task("num_fewshot: 0\n");
  EXPECT_EQ(build("mine", 5).num_fewshot, 0);
  write_task("num_fewshot: 3\n");
  EXPECT_EQ(build("mine").num_fewshot, 3);
  EXPECT_EQ(build("mine", 1).num_fewshot, 1);
}

TEST_F(DocumentBuilderTest, PartialScoringPutsTheChoicesIntoTheContexts) {
  folder_.write(
      "winogrande_xl/validation.jsonl",
      R"({"sentence": "Ann thanked Bob as _ had helped. ", "option1": "Ann", "option2": "Bob", "answer": "2"})");
  const EvaluatedDocument document = build("winogrande").documents.at(0);
  EXPECT_EQ(document.gold, 1);
  EXPECT_EQ(document.target, "had helped.");
  EXPECT_EQ(document.request(0).context, "Ann thanked Bob as Ann");
  EXPECT_EQ(document.request(1).continuation, " had helped.");
}

// One pass over pairs of spaces leaves two of three; brackets go, but not across lines; the rest of ctx_b is lower
// case.
TEST_F(DocumentBuilderTest, HellaswagIsCleanedAsLmEvalCleansIt) {
  folder_.write("hellaswag/validation.jsonl", Json{{"activity_label", " Act"},
                                                   {"ctx_a", "a   b [x] [title] c"},
                                                   {"ctx_b", "éCOLE [y\nz]"},
                                                   {"endings", {" [step] one ", "two"}},
                                                   {"label", "1"},
                                                   {"source_id", "s"}}
                                                  .dump());
  const EvaluatedDocument document = build("hellaswag").documents.at(0);
  EXPECT_EQ(document.request(0).context, "Act: a  b . c École [y\nz]");
  EXPECT_THAT(document.choices, ElementsAre(" one", "two"));
  EXPECT_EQ(document.cluster, "s");
  EXPECT_EQ(document.doc["query"], document.request(0).context);
}

// HellaSwag's source_id is above; WikiText's documents are its pages.
TEST_F(DocumentBuilderTest, DocumentsOfOneSourceAreOfOneCluster) {
  folder_.write("super_glue_boolq/validation.jsonl",
                Json{{"passage", "P"}, {"question", "is it"}, {"label", 1}}.dump());
  EXPECT_EQ(build("boolq").documents.at(0).cluster, "P");
  folder_.write(
      "logiqa/test.jsonl",
      Json{{"label", "a"}, {"context", "C"}, {"question", "which?"}, {"options", {"one", "two", "three", "four"}}}
          .dump());
  EXPECT_EQ(build("logiqa").documents.at(0).cluster, "C");
  folder_.write("wikitext2/wiki.test.raw", "\n = One = \n a\n = Two = \n b\n");
  for (const EvaluatedDocument& page : build("wikitext").documents) EXPECT_EQ(page.cluster, "");
}

// Of one file for all subjects, which is read once however many are asked for.
TEST_F(DocumentBuilderTest, MmlusSubjectsShareOneReadingOfTheirFile) {
  const auto question = [](const std::string& subject) {
    return Json{{"question", "Q"}, {"subject", subject}, {"choices", {"a", "b", "c", "d"}}, {"answer", 2}}.dump() +
           "\n";
  };
  folder_.write("mmlu/test.jsonl", question("anatomy") + question("astronomy") + question("anatomy"));
  TaskFiles files;
  const auto build_subject = [&](const std::string& subject) {
    return build_documents(TaskLibrary().select({"mmlu_" + subject}).tasks.at(0), 0, std::nullopt, kFewshotSeed, files);
  };
  const TaskDocuments anatomy = build_subject("anatomy");
  ASSERT_EQ(anatomy.documents.size(), 2u);
  EXPECT_EQ(anatomy.documents[1].cluster, "anatomy");
  folder_.write("mmlu/test.jsonl", "no longer JSON");
  const TaskDocuments astronomy = build_subject("astronomy");
  EXPECT_EQ(astronomy.documents.size(), 1u);
  EXPECT_EQ(astronomy.data_hash, anatomy.data_hash);
}

TEST_F(DocumentBuilderTest, WhatDividesLinesInUnicodeDividesNoDocuments) {
  write_task();
  folder_.write("test.jsonl",
                "{\"question\": \"a\u2028b\u0085c\", \"label\": 0}\n\n{\"question\": \"d\", \"label\": 1}");
  EXPECT_EQ(build("mine").documents.size(), 2u);
}

TEST_F(DocumentBuilderTest, WrongDataIsSaidByTaskDocumentAndField) {
  write_task();
  folder_.write("test.jsonl", "{\"question\": \"a\", \"label\": 0}\n{\"question\": \"b\", \"label\": 2}\n");
  EXPECT_EQ(build_error("mine"), "task mine: document 1 of test: label 2 is none of the 2 choices");
  folder_.write("test.jsonl", "{\"question\": \"a\", \"label\": 0}\n{\"label\": 1}\n");
  EXPECT_EQ(build_error("mine"),
            "task mine: document 1 of test: doc_to_text: template line 1, column 3: 'question' is undefined");
  folder_.write("test.jsonl", "{\"question\": \"a\", \"label\": 0}\n{\"question\": \"b\"}\n");
  EXPECT_EQ(build_error("mine"), "task mine: document 1 of test: doc_to_target: field 'label' is missing");
  folder_.write("test.jsonl", "{\"question\": \"a\", \"label\": 0}\nnot json\n");
  EXPECT_THAT(build_error("mine"), HasSubstr("test.jsonl:2: is not a JSON object"));
  folder_.write("test.jsonl", "\n");
  EXPECT_THAT(build_error("mine"), HasSubstr("has no documents"));
}

TEST_F(DocumentBuilderTest, AWordThatIsNoFieldIsRefused) {
  write_task("fewshot_delimiter: x\n");
  folder_.write("test.jsonl", "{\"question\": \"a\", \"lable\": 0}\n");
  EXPECT_THAT(build_error("mine"), HasSubstr("doc_to_target: 'label' is no field of the documents (they have: lable"));
}

TEST_F(DocumentBuilderTest, MissingFilesAndSenselessNumbersAreRefused) {
  write_task();
  EXPECT_THAT(build_error("mine", 0, 0), HasSubstr("limit: must be at least 1"));
  EXPECT_THAT(build_error("mine", -1), HasSubstr("num-fewshot: must not be negative"));
  EXPECT_THAT(build_error("mine", 21), HasSubstr("task mine: 21 examples are asked for, the pool has 20 documents"));
  setenv("MOEBENCH_CACHE", (folder_ / "cache").c_str(), 1);
  EXPECT_THAT(build_error("boolq"), ::testing::AllOf(HasSubstr("no validation.jsonl of aps/super_glue boolq"),
                                                     HasSubstr("super_glue_boolq"), HasSubstr("scripts/fetch tasks")));
  unsetenv("MOEBENCH_CACHE");
}

}  // namespace
}  // namespace moebench
