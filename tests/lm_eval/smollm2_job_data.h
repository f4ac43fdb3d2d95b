// The data that lm-eval ran on for a job of golden/smollm2 (its README says which are not the official files).
#pragma once

#include <optional>
#include <string>

#include "tests/fixtures/temporary_folder.h"
#include "tests/lm_eval/hellaswag_copy.h"
#include "tests/lm_eval/task_data_fixture.h"

namespace moebench {

// $MOEBENCH_DATA for as long as it lives.
class JobData {
 public:
  explicit JobData(const std::string& job) {
    const std::filesystem::path tasks = kSharedData / "tasks";
    if (job == "sciq_0") {
      folder_.write("sciq/test.jsonl", read_file(tasks / "sciq" / "validation.jsonl"));
    } else if (job == "hellaswag_0") {
      folder_.write("hellaswag/validation.jsonl", read_file(tasks / "hellaswag" / "original_first200.jsonl"));
    } else if (job == "hellaswag_local_0") {
      folder_.write("hellaswag/validation.jsonl", hellaswag_copy(50));
    } else {
      data_.emplace(kSharedData);
      return;
    }
    data_.emplace(folder_.path());
  }

 private:
  TemporaryFolder folder_;
  std::optional<DataFolder> data_;
};

}  // namespace moebench
