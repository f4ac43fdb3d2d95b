#include "results/number_format.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace moebench {
namespace {

TEST(NumberFormatTest, FourDigitsSayEnough) {
  EXPECT_EQ(format_number(46.2083), "46.21");
  EXPECT_EQ(format_number(1459.4), "1459");
  EXPECT_EQ(format_number(0.046208), "0.04621");
  EXPECT_EQ(format_number(-2.5), "-2.500");
  EXPECT_EQ(format_number(0), "0");
  EXPECT_EQ(format_number(173652.108), "1.737e+05");
  EXPECT_EQ(format_number(0.00001234), "1.234e-05");
}

TEST(NumberFormatTest, WhatIsNoNumberSaysSo) {
  EXPECT_EQ(format_number(std::nan("")), "NaN");
  EXPECT_EQ(format_number(std::numeric_limits<double>::infinity()), "inf");
  EXPECT_EQ(format_mean(-std::numeric_limits<double>::infinity(), std::nullopt), "-inf");
}

TEST(NumberFormatTest, DeviationHasTheDigitsOfItsMean) {
  EXPECT_EQ(format_mean(51.3, 43.21), "51.30 ± 43.21");
  EXPECT_EQ(format_mean(1459, 2004.4), "1459 ± 2004");
  EXPECT_EQ(format_mean(7.41, 0.0259), "7.410 ± 0.026");
  EXPECT_EQ(format_mean(173652, 5000), "1.737e+05 ± 5000");
  EXPECT_EQ(format_mean(7.41, std::nullopt), "7.410");
}

TEST(NumberFormatTest, CountsAndBytesHaveUnits) {
  EXPECT_EQ(format_count(134515008), "134.5 M");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_count(6.7384e9), "6.738 G");
  EXPECT_EQ(format_bytes(3364e6), "3.36 GB");
  EXPECT_EQ(format_bytes(512), "512 B");
  EXPECT_EQ(format_bytes(0), "0 B");
}

TEST(NumberFormatTest, PercentIsWholeWhereItIs) {
  EXPECT_EQ(format_percent(0.75), "75 %");
  EXPECT_EQ(format_percent(1), "100 %");
  EXPECT_EQ(format_percent(5.0 / 6), "83.3 %");
}

}  // namespace
}  // namespace moebench
