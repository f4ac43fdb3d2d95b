// The real program on a tiny model, in a folder of the test's own.
#pragma once

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/fixtures/temporary_folder.h"
#include "tests/fixtures/tiny_checkpoint.h"
#include "tests/run_program.h"

namespace moebench {

class CommandFixture : public testing::Test {
 protected:
  void SetUp() override {
    write_tiny_checkpoint(folder_ / "model");
    folder_.write("text.txt", sample_text());
  }

  static std::string sample_text() {
    std::string text;
    for (int line = 0; line < 30; ++line) text += "The quick brown fox " + std::to_string(line) + " jumps over it.\n";
    return text;
  }

  // On one thread: more only wait for one another on tensors this small.
  ProgramResult run(const std::vector<std::string>& arguments, const std::string& input = "") const {
    std::vector<std::string> all = {"--threads", "1"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return run_program(folder_.path(), all, input);
  }

  // What a command that must succeed printed.
  std::string output(const std::vector<std::string>& arguments, const std::string& input = "") const {
    const ProgramResult result = run(arguments, input);
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    return result.output;
  }

  // The one sentence of a command that must fail with this code.
  std::string sentence(int exit_code, const std::vector<std::string>& arguments, const std::string& input = "") const {
    const ProgramResult result = run(arguments, input);
    EXPECT_EQ(result.exit_code, exit_code) << result.errors;
    EXPECT_THAT(result.errors, testing::StartsWith("moebench: "));
    EXPECT_EQ(std::count(result.errors.begin(), result.errors.end(), '\n'), 1) << result.errors;
    return result.errors;
  }

  static std::vector<nlohmann::json> json_lines(const std::string& text) {
    std::vector<nlohmann::json> lines;
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = text.find('\n', begin);
      lines.push_back(nlohmann::json::parse(text.substr(begin, end - begin)));
      begin = end == std::string::npos ? text.size() : end + 1;
    }
    return lines;
  }

  TemporaryFolder folder_;
};

}  // namespace moebench
