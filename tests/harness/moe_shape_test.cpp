#include "harness/moe_shape.h"

#include <stdexcept>

#include <gtest/gtest.h>

namespace moebench {
namespace {

TEST(MoeShapeTest, ReadsSharedActiveAndExperts) {
  const MoeShape shape = parse_moe_shape("S3A3E8", 1536);
  EXPECT_EQ(shape.num_shared_experts, 3);
  EXPECT_EQ(shape.top_k, 3);
  EXPECT_EQ(shape.num_routed_experts(), 5);
  EXPECT_EQ(shape.expert_intermediate_size, 192);
  EXPECT_EQ(shape.active_neurons(), 1152);
}

TEST(MoeShapeTest, WidthSuffixSetsTheExpertWidth) {
  const MoeShape shape = parse_moe_shape("S0A1E8W768", 1536);
  EXPECT_EQ(shape.expert_intermediate_size, 768);
  EXPECT_EQ(to_string(shape, 1536), "S0A1E8W768");
}

TEST(MoeShapeTest, PrintsWhatItReads) { EXPECT_EQ(to_string(parse_moe_shape("S2A6E16", 1536), 1536), "S2A6E16"); }

TEST(MoeShapeTest, RefusesWhatDoesNotFit) {
  for (const char* text : {"", "S3A3", "S3A3E8x", "S9A0E8", "S3A6E8", "S0A0E8", "S3A3E7", "S0A1E8W1537", "S0A1E8W0",
                           "S-1A3E8", "S0A1E99999999999999999999", "S0A1E1537W1", "S0A1E9223372036854775807W8"}) {
    EXPECT_THROW(parse_moe_shape(text, 1536), std::invalid_argument) << text;
  }
}

}  // namespace
}  // namespace moebench
