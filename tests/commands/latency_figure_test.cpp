#include "harness/commands/latency_figure.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace moebench {
namespace {

using kernels::LatencyRow;
using kernels::Verdict;
using testing::HasSubstr;
using testing::Not;

LatencyRow row(int64_t tokens, const std::string& network, double ratio, Verdict verdict) {
  return {.num_tokens = tokens,
          .network = network,
          .variant = "fused",
          .active_ratio = 0.5,
          .seconds = {1},
          .ratio = {ratio, ratio - 0.01, ratio + 0.01},
          .verdict = verdict};
}

std::vector<LatencyRow> rows() {
  return {row(1, "dense", 1, Verdict::kIndistinguishable), row(1, "S1<A>&", 0.5, Verdict::kFaster),
          row(4, "S1<A>&", 1.02, Verdict::kSlower),        row(64, "S1<A>&", 0.9, Verdict::kFaster),
          row(1024, "S1<A>&", 0.55, Verdict::kFaster),     row(1, "other", 1.3, Verdict::kSlower)};
}

TEST(LatencyFigureTest, BreakEvenIsWhereItBecomesFasterForGood) {
  EXPECT_EQ(kernels::break_even_tokens(rows(), "S1<A>&", "fused"), 64) << "at one token it was faster, but not at four";
  EXPECT_EQ(kernels::break_even_tokens(rows(), "other", "fused"), 0);
  EXPECT_EQ(kernels::break_even_tokens(rows(), "S1<A>&", "library"), 0);
}

TEST(LatencyFigureTest, EveryMeasurementIsAPointAndNamesAreEscaped) {
  const std::string svg = latency_figure(rows(), "fused", "a <title>");
  EXPECT_THAT(svg, testing::StartsWith("<svg "));
  EXPECT_THAT(svg, testing::EndsWith("</svg>\n"));
  int points = 0;
  for (size_t at = svg.find("</title></g>"); at != std::string::npos; at = svg.find("</title></g>", at + 1)) ++points;
  EXPECT_EQ(points, 5);
  EXPECT_THAT(svg, HasSubstr("S1&lt;A&gt;&amp;, 50 % active"));
  EXPECT_THAT(svg, HasSubstr("a &lt;title&gt;"));
  EXPECT_THAT(svg, HasSubstr("50 % active, 64: 0.9000 (0.8900 to 0.9100), FASTER, from here on"));
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  EXPECT_THAT(svg, Not(HasSubstr("href"))) << "nothing is loaded";
}

TEST(LatencyFigureTest, OneTokenCountIsAFigureToo) {
  EXPECT_THAT(latency_figure({row(8, "m", 0.5, Verdict::kFaster)}, "fused", ""), Not(HasSubstr("nan")));
}

}  // namespace
}  // namespace moebench
