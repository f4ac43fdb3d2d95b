// A sweep over a tiny model, in a folder of the test's own.
#pragma once

#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/fixtures/temporary_folder.h"
#include "tests/fixtures/tiny_checkpoint.h"

namespace moebench {

class SweepFixture : public testing::Test {
 protected:
  void SetUp() override {
    write_tiny_checkpoint(folder_ / "model");
    folder_.write("train.txt", text("A quick brown fox jumps over the lazy dog number "));
    folder_.write("test.txt", text("Nothing in the world is as soft as the water of spring "));
    write_sweep();
  }

  static std::string text(const std::string& sentence) {
    std::string lines;
    for (int line = 0; line < 40; ++line) lines += sentence + std::to_string(line) + ".\n";
    return lines;
  }

  // methods and more: TOML put where a sweep file has them.
  void write_sweep(const std::string& methods = kMethods, const std::string& more = "") const {
    std::ofstream(sweep_path()) << "name = \"tiny\"\nseeds = [0, 1]\n"
                                << "[model]\npath = \"" << (folder_ / "model").string() << "\"\n"
                                << "[calibration]\ntexts = [\"" << (folder_ / "train.txt").string() << "\"]\n"
                                << "windows = 2\nwindow = 48\n"
                                << methods << "[[tasks]]\nname = \"perplexity\"\noptions = { text = \""
                                << (folder_ / "test.txt").string() << "\", window = 48, max_windows = 4 }\n"
                                << more;
  }

  std::string sweep_path() const { return (folder_ / "tiny.toml").string(); }

  static constexpr const char* kMethods =
      "[[methods]]\nname = \"cmoe\"\nshapes = [\"S3A3E8\"]\n"
      "[[methods]]\nname = \"random_split\"\nshapes = [\"S0A4E8\"]\n";

  TemporaryFolder folder_;
};

}  // namespace moebench
