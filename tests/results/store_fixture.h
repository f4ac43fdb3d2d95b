// A folder for each test, and runs to put into a store there.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <gtest/gtest.h>

#include "results/result_store.h"

namespace moebench {

// A completed measurement of the dense model that needs nothing else to be stored.
inline RunRecord sample_run(const std::string& name) {
  return {.uuid = "uuid-" + name,
          .cell_key = "cell-" + name,
          .stage = "measure",
          .status = "completed",
          .seed = 1,
          .started = 100,
          .ended = 101,
          .config = {{"model", "tiny"}, {"method", "dense"}},
          .metrics = {{"text/gptq-16/ppl", "", 20.5, Direction::kLowerIsBetter, 4, 0.5}}};
}

inline RunRecord failed_run(const std::string& name) {
  RunRecord run = sample_run(name);
  run.status = "failed";
  run.error = "out of memory";
  run.exit_code = 4;
  run.metrics.clear();
  return run;
}

class StoreFixture : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  ResultStore open(ResultStore::Mode mode = ResultStore::Mode::kReadWrite) const {
    return ResultStore(path_, mode, std::chrono::milliseconds(20000));
  }
  std::string message_of_opening(ResultStore::Mode mode) const {
    try {
      open(mode);
    } catch (const std::exception& error) {
      return error.what();
    }
    return "opened";
  }
  void write_file(const std::string& bytes) const { std::ofstream(path_, std::ios::binary) << bytes; }
  std::string read_file() const {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::vector<std::string> files_in_folder() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      names.push_back(entry.path().filename().string());
    }
    return names;
  }

  std::filesystem::path folder_ =
      std::filesystem::path(testing::TempDir()) /
      (std::string(testing::UnitTest::GetInstance()->current_test_info()->test_suite_name()) + "." +
       testing::UnitTest::GetInstance()->current_test_info()->name());
  std::filesystem::path path_ = folder_ / "results.sqlite";
};

}  // namespace moebench
