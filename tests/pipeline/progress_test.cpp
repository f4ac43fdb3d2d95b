#include "harness/pipeline/progress.h"

#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace moebench {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class ProgressTest : public testing::Test {
 protected:
  SweepProgress make(bool live) {
    return SweepProgress(out_, live, [this] { return now_; });
  }
  // Runs a whole stage of so many seconds.
  void stage(SweepProgress& progress, const std::string& kind, double seconds, double work = 1) {
    progress.start(kind, kind, work);
    now_ += seconds;
    progress.finish();
  }

  double now_ = 1000;
  std::ostringstream out_;
};

TEST_F(ProgressTest, RemainingTimeIsALowerBoundUntilEveryKindWasTimed) {
  SweepProgress progress = make(false);
  progress.expect("convert");
  progress.expect("perplexity");
  progress.expect("perplexity");
  stage(progress, "convert", 10);
  EXPECT_FALSE(progress.remaining().is_whole);
  stage(progress, "perplexity", 4);
  EXPECT_TRUE(progress.remaining().is_whole);
  EXPECT_DOUBLE_EQ(progress.remaining().seconds, 4);
}

TEST_F(ProgressTest, RemainingTimeScalesWithWork) {
  SweepProgress progress = make(false);
  progress.expect("convert", 2);
  progress.expect("convert", 6);
  stage(progress, "convert", 10, 2);
  EXPECT_DOUBLE_EQ(progress.remaining().seconds, 30);
}

TEST_F(ProgressTest, TheStageUnderWayCountsByItsFraction) {
  SweepProgress progress = make(false);
  progress.expect("convert");
  progress.expect("convert");
  progress.start("convert", "first");
  now_ += 5;
  progress.update(0.25);
  EXPECT_DOUBLE_EQ(progress.remaining().seconds, 15 + 20) << "20 s a stage at this pace";
}

TEST_F(ProgressTest, AnAbandonedStageSaysNothingOfThePace) {
  SweepProgress progress = make(false);
  progress.expect("convert");
  progress.expect("convert");
  progress.start("convert", "first");
  progress.abandon();
  EXPECT_FALSE(progress.remaining().is_whole);
}

TEST_F(ProgressTest, ElsewhereThanOnATerminalALineComesEveryFewSeconds) {
  SweepProgress progress = make(false);
  progress.expect("convert");
  progress.start("convert", "cmoe S3A3E8 seed 0");
  for (int tick = 0; tick < 11; ++tick) {
    now_ += 1;
    progress.update(tick / 20.0);
  }
  EXPECT_EQ(out_.str(),
            "[1/1] cmoe S3A3E8 seed 0 20 %  elapsed 0:05  ETA 0:20\n"
            "[1/1] cmoe S3A3E8 seed 0 45 %  elapsed 0:10  ETA 0:12\n");
}

TEST_F(ProgressTest, WithoutAnyPaceTheTimeLeftIsUnknown) {
  SweepProgress progress = make(true);
  progress.expect("convert");
  progress.start("convert", "cmoe");
  EXPECT_THAT(out_.str(), testing::EndsWith("ETA unknown"));
  now_ += 1;
  progress.update(0.04);
  EXPECT_THAT(out_.str(), testing::EndsWith("cmoe 4 %  elapsed 0:01  ETA unknown"));
}

TEST_F(ProgressTest, AfterAMinuteALittleOfALongStageSaysHowLong) {
  SweepProgress progress = make(true);
  progress.expect("retrain");
  progress.start("retrain", "common");
  now_ += 60;
  progress.update(0.001);
  EXPECT_THAT(out_.str(), testing::EndsWith("common 0 %  elapsed 1:00  ETA 16:39:00"));
}

TEST_F(ProgressTest, OnATerminalOneLineIsRewritten) {
  SweepProgress progress = make(true);
  progress.expect("convert");
  progress.start("convert", "cmoe");
  now_ += 1;
  progress.update(0.5);
  EXPECT_THAT(out_.str(), StartsWith("\r\x1b[K[1/1] cmoe 0 %"));
  EXPECT_THAT(out_.str(), HasSubstr("\r\x1b[K[1/1] cmoe 50 %  elapsed 0:01  ETA 0:01"));
  EXPECT_THAT(out_.str(), Not(HasSubstr("\n")));
}

TEST(DurationTextTest, ReadsLikeAClock) {
  EXPECT_EQ(duration_text(5.4), "0:05");
  EXPECT_EQ(duration_text(754), "12:34");
  EXPECT_EQ(duration_text(3723), "1:02:03");
}

}  // namespace
}  // namespace moebench
