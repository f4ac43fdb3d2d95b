#include "harness/pipeline/artifact_folder.h"

#include <unistd.h>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/error.h"

namespace moebench {
namespace {

class ArtifactFolderTest : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  RunRecord recorded(const ArtifactFolder& artifacts, const std::string& key) {
    RunRecord run;
    run.cell_key = key;
    run.artifacts = {artifacts.describe(key)};
    return run;
  }

  std::filesystem::path folder_ =
      std::filesystem::path(testing::TempDir()) / testing::UnitTest::GetInstance()->current_test_info()->name();
  std::filesystem::path database_ = folder_ / "sweep.sqlite";
};

TEST_F(ArtifactFolderTest, DescribesAFileByItsHash) {
  ArtifactFolder artifacts(database_);
  artifacts.lock();
  std::ofstream(artifacts.path("key")) << "abc";
  const ArtifactRecord record = artifacts.describe("key");
  EXPECT_EQ(record.path, "sweep.sqlite.artifacts/key.safetensors");
  // FIPS 180-2, appendix B.1.
  EXPECT_EQ(record.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(record.bytes, 3);
}

TEST_F(ArtifactFolderTest, HoldsARunUntilItsFileIsAlteredOrGone) {
  ArtifactFolder artifacts(database_);
  artifacts.lock();
  std::ofstream(artifacts.path("key")) << "abc";
  const RunRecord run = recorded(artifacts, "key");
  EXPECT_TRUE(artifacts.holds(run));
  std::ofstream(artifacts.path("key")) << "abd";
  EXPECT_FALSE(artifacts.holds(run));
  std::filesystem::remove(artifacts.path("key"));
  EXPECT_FALSE(artifacts.holds(run));
}

TEST_F(ArtifactFolderTest, ASecondSweepIsToldToWait) {
  ArtifactFolder first(database_), second(database_);
  first.lock();
  EXPECT_THROW(second.lock(), TryAgainError);
}

TEST_F(ArtifactFolderTest, LockingRemovesWhatAKilledSweepLeftHalfWritten) {
  ArtifactFolder artifacts(database_);
  std::filesystem::create_directories(artifacts.path("key").parent_path());
  const std::filesystem::path half = artifacts.path("key").string() + ".partial.123";
  std::ofstream(half) << "ab";
  std::ofstream(artifacts.path("whole")) << "abc";
  artifacts.lock();
  EXPECT_FALSE(std::filesystem::exists(half));
  EXPECT_TRUE(std::filesystem::exists(artifacts.path("whole")));
}

TEST_F(ArtifactFolderTest, AFolderThatCannotBeMadeIsReported) {
  std::ofstream(folder_ / "file") << "";
  ArtifactFolder artifacts(folder_ / "file" / "sweep.sqlite");
  EXPECT_THROW(artifacts.lock(), TryAgainError);
}

}  // namespace
}  // namespace moebench
