#include "harness/pipeline/job_pool.h"

#include <csignal>
#include <fstream>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/pipeline/job_list.h"
#include "tests/fixtures/temporary_folder.h"

namespace moebench {
namespace {

using testing::HasSubstr;

class JobPoolTest : public testing::Test {
 protected:
  Job shell(const std::string& script, double timeout_seconds = 0) const {
    return {{"/bin/sh", "-c", script}, folder_ / "log", timeout_seconds};
  }

  std::map<size_t, JobEnd> wait_for_all() {
    std::map<size_t, JobEnd> ends;
    while (pool_.num_running() > 0) {
      if (const auto end = pool_.wait(10)) ends[end->id] = *end;
    }
    return ends;
  }

  TemporaryFolder folder_;
  JobPool pool_;
};

TEST_F(JobPoolTest, EachEndsWithItsOwnCode) {
  pool_.start(3, shell("exit 0"));
  pool_.start(5, shell("exit 75"));
  pool_.start(7, shell("kill -9 $$"));
  const auto ends = wait_for_all();
  EXPECT_EQ(ends.at(3).exit_code, 0);
  EXPECT_EQ(ends.at(5).exit_code, 75);
  EXPECT_EQ(ends.at(7).exit_code, 128 + SIGKILL);
  EXPECT_FALSE(ends.at(7).timed_out);
}

TEST_F(JobPoolTest, WhatItSaysIsInItsLog) {
  pool_.start(0, shell("echo first; echo second >&2"));
  wait_for_all();
  pool_.start(0, shell("echo third"));
  wait_for_all();
  std::ifstream log(folder_ / "log");
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(log), {}), "first\nsecond\nthird\n");
}

TEST_F(JobPoolTest, OneThatTakesTooLongIsKilled) {
  pool_.start(0, shell("exec sleep 100", 0.1));
  const auto ends = wait_for_all();
  EXPECT_TRUE(ends.at(0).timed_out);
  EXPECT_LT(ends.at(0).seconds, 50);
}

TEST_F(JobPoolTest, SignalsReachAllOfThem) {
  pool_.start(0, shell("exec sleep 100"));
  pool_.start(1, shell("exec sleep 100"));
  pool_.send(SIGTERM);
  for (const auto& [id, end] : wait_for_all()) EXPECT_EQ(end.exit_code, 128 + SIGTERM);
}

TEST_F(JobPoolTest, WaitingForNobodyEndsAtOnce) { EXPECT_FALSE(pool_.wait(100)); }

TEST_F(JobPoolTest, AMissingProgramIsNamed) {
  EXPECT_THAT(
      [&] {
        pool_.start(0, {{"/no/such/program"}, folder_ / "log"});
      },
      testing::ThrowsMessage<std::runtime_error>(HasSubstr("/no/such/program")));
}

TEST_F(JobPoolTest, TheListHoldsThoseThatRunAndNothingOfWhatIsNoList) {
  const auto labels = [&] {
    std::vector<std::string> labels;
    for (const RunningJob& job : JobList::read(folder_.path())) labels.push_back(job.label);
    return labels;
  };
  {
    JobList list(folder_.path());
    list.add(1, {"a", folder_ / "a.log", 5});
    list.add(2, {"b \"quoted\"", folder_ / "b.log", 6});
    EXPECT_THAT(labels(), testing::ElementsAre("a", "b \"quoted\""));
    EXPECT_EQ(JobList::read(folder_.path())[0].log, folder_ / "a.log");
    list.remove(1);
    EXPECT_THAT(labels(), testing::ElementsAre("b \"quoted\""));
  }
  EXPECT_THAT(labels(), testing::IsEmpty());
  for (const char* content : {"", "{", "[1]", "[{\"label\": 1}]", "{\"label\": \"a\"}"}) {
    folder_.write("running.json", content);
    EXPECT_THAT(labels(), testing::IsEmpty()) << content;
  }
}

}  // namespace
}  // namespace moebench
