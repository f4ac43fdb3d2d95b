// A task of lm-evaluation-harness for tests.
#pragma once

#include <string>

#include "tests/fixtures/temporary_folder.h"

namespace moebench {

// lm_eval/<name>.yaml in folder, and data: questions q0 to q3, whose answers are no and yes in turn, and t0 to t3 to
// take examples from. lines: more of the task file.
inline void write_lm_eval_task(const TemporaryFolder& folder, const std::string& name, const std::string& lines = "") {
  folder.write("lm_eval/" + name + ".yaml",
               "task: " + name +
                   "\ndataset_path: json\ntest_split: test\ntraining_split: train\n"
                   "dataset_kwargs: {data_files: {test: " +
                   name + "/test.jsonl, train: " + name +
                   "/train.jsonl}}\n"
                   "output_type: multiple_choice\ndoc_to_text: '{{question}}?'\ndoc_to_target: label\n"
                   "doc_to_choice: [\"no\", \"yes\"]\nmetric_list: [{metric: acc}]\n" +
                   lines);
  for (const std::string split : {"test", "train"}) {
    std::string documents;
    for (int place = 0; place < 4; ++place) {
      documents += "{\"question\": \"" + std::string(split == "test" ? "q" : "t") + std::to_string(place) +
                   "\", \"label\": " + std::to_string(place % 2) + "}\n";
    }
    folder.write("lm_eval/" + name + "/" + split + ".jsonl", documents);
  }
}

}  // namespace moebench
