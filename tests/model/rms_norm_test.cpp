// Held to the formula written out: x / sqrt(mean(x²) + eps) times the weight, rounded.
#include "harness/model/rms_norm.h"

#include <cmath>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace moebench {
namespace {

constexpr double kEps = 1e-5;

double normalised(const at::Tensor& row, int64_t index) {
  double squares = 0;
  for (int64_t other = 0; other < row.numel(); ++other) squares += std::pow(row[other].item<double>(), 2);
  return row[index].item<double>() / std::sqrt(squares / static_cast<double>(row.numel()) + kEps);
}

class RmsNormTest : public testing::Test {
 protected:
  void SetUp() override { at::manual_seed(1); }
};

TEST_F(RmsNormTest, EveryRowHasItsOwnScale) {
  const at::Tensor input = at::randn({3, 16}) * at::tensor({1.0, 10.0, 0.001}).unsqueeze(1).to(at::kFloat);
  const at::Tensor weight = at::randn({16});
  const at::Tensor output = rms_norm(input, weight, kEps);
  for (int64_t row = 0; row < 3; ++row) {
    for (int64_t index = 0; index < 16; ++index) {
      EXPECT_NEAR(output[row][index].item<double>(), normalised(input[row], index) * weight[index].item<double>(),
                  1e-6);
    }
  }
}

TEST_F(RmsNormTest, Bfloat16IsRoundedOnce) {
  const at::Tensor input = at::randn({64}).to(at::kBFloat16), weight = at::randn({64}).to(at::kBFloat16);
  const at::Tensor output = rms_norm(input, weight, kEps);
  int64_t rounded_twice_differs = 0;
  for (int64_t index = 0; index < 64; ++index) {
    const auto exact = static_cast<float>(normalised(input, index));
    const auto scale = weight[index].item<float>();
    const c10::BFloat16 expected(exact * scale), rounded_twice(static_cast<float>(c10::BFloat16(exact)) * scale);
    EXPECT_EQ(output[index].item<float>(), static_cast<float>(expected)) << index;
    rounded_twice_differs += static_cast<float>(rounded_twice) != static_cast<float>(expected);
  }
  EXPECT_GT(rounded_twice_differs, 0) << "else this test could not tell";
}

}  // namespace
}  // namespace moebench
