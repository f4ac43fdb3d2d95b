#include "harness/atomic_file.h"

#include <sys/stat.h>
#include <unistd.h>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

#include "harness/error.h"

namespace moebench {
namespace {

class AtomicFileTest : public testing::Test {
 protected:
  std::string content() const {
    std::ifstream file(path_);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  size_t files_in_folder() const {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder_), {}));
  }
  void SetUp() override {
    std::filesystem::create_directories(folder_);
    std::ofstream(path_) << "before";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path folder_ =
      std::filesystem::path(testing::TempDir()) / testing::UnitTest::GetInstance()->current_test_info()->name();
  std::filesystem::path path_ = folder_ / "file";
};

TEST_F(AtomicFileTest, CommitReplacesTheTarget) {
  AtomicFile file(path_);
  file.write("after");
  EXPECT_EQ(content(), "before");
  file.commit();
  EXPECT_EQ(content(), "after");
}

TEST_F(AtomicFileTest, WithoutCommitNothingRemains) {
  { AtomicFile(path_).write("half"); }
  EXPECT_EQ(content(), "before");
  EXPECT_EQ(files_in_folder(), 1u);
}

TEST_F(AtomicFileTest, MissingFolderSaysWhereItCannotWrite) {
  EXPECT_THROW(AtomicFile(folder_ / "absent" / "file"), TryAgainError);
}

TEST_F(AtomicFileTest, FolderIsNoTarget) {
  EXPECT_THROW(AtomicFile{folder_}, TryAgainError);
  EXPECT_EQ(files_in_folder(), 1u);
}

TEST_F(AtomicFileTest, PipeIsNoTarget) {
  const std::filesystem::path pipe = folder_ / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THROW(AtomicFile{pipe}, TryAgainError);
  EXPECT_TRUE(std::filesystem::is_fifo(pipe));
}

TEST_F(AtomicFileTest, WhatALinkPointsAtIsReplacedAndTheLinkStays) {
  std::filesystem::create_directory(folder_ / "elsewhere");
  const std::filesystem::path link = folder_ / "elsewhere" / "link", second = folder_ / "second";
  std::filesystem::create_symlink("../file", link);
  std::filesystem::create_symlink(link, second);
  AtomicFile file(second);
  file.write("after");
  file.commit();
  EXPECT_EQ(content(), "after");
  EXPECT_TRUE(std::filesystem::is_symlink(link));
  EXPECT_TRUE(std::filesystem::is_symlink(second));
}

TEST_F(AtomicFileTest, LinksInACircleAreNoTarget) {
  std::filesystem::create_symlink("circle", folder_ / "circle");
  EXPECT_THROW(AtomicFile{folder_ / "circle"}, TryAgainError);
}

TEST_F(AtomicFileTest, FullDiskIsReported) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no /dev/full on this system";
  std::filesystem::create_symlink("/dev/full", folder_ / ("full.partial." + std::to_string(getpid())));
  AtomicFile file(folder_ / "full");
  EXPECT_THROW(file.write("x"), TryAgainError);
}

}  // namespace
}  // namespace moebench
