// kernel_latency and end_to_end: what they leave out, and what of theirs is no time.
#include <gmock/gmock.h>

#include "harness/latency/end_to_end.h"
#include "tests/tasks/task_fixture.h"
#include "tests/tasks/tiny_conversions.h"

namespace moebench {
namespace {

class LatencyTasksTest : public TaskFixture {
 protected:
  Measurement kernel_latency() {
    return measure("kernel_latency",
                   {{"text", text_.string()}, {"window", 16}, {"tokens", "1,4"}, {"seconds", 0}, {"min_rounds", 3}});
  }
  Measurement end_to_end() {
    return measure("end_to_end",
                   {{"text", text_.string()}, {"prefill", 8}, {"decode", 2}, {"seconds", 0}, {"min_rounds", 3}});
  }
};

TEST_F(LatencyTasksTest, ABoundHasNoTimes) {
  Conversion oracle = token_dependent_conversion();
  for (LayerConversion& layer : oracle.layers) layer.router = {.kind = RouterKind::kOracle};
  apply(oracle);
  EXPECT_TRUE(kernel_latency().metrics.empty());
  EXPECT_TRUE(end_to_end().metrics.empty());
}

TEST_F(LatencyTasksTest, DecodingIsBoundByWhatIsReadAllTheSame) {
  apply(static_conversion(48));  // of 96
  const double share = feed_forward_share(model_->config());
  EXPECT_NEAR(value(end_to_end(), "end_to_end/float32/decode-2/bound"), 1 - share / 2, 1e-12);
}

TEST_F(LatencyTasksTest, RoutersAreReadToo) {
  apply(token_dependent_conversion());  // one expert of four is not visited
  const auto hidden_size = static_cast<double>(model_->config().hidden_size);
  const double active = 0.75 + (3 * hidden_size + 3) / (3 * hidden_size * 96);
  const double share = feed_forward_share(model_->config());
  EXPECT_NEAR(value(end_to_end(), "end_to_end/float32/decode-2/bound"), 1 - share * (1 - active), 1e-12);
}

}  // namespace
}  // namespace moebench
