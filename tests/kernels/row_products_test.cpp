#include "kernels/cpu/row_products.h"

#include <cmath>
#include <random>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/bfloat16.h"
#include "kernels/cpu/instruction_set.h"

namespace moebench::kernels {
namespace {

struct Sizes {
  int64_t rows, weight_rows, columns, gap;  // gap: between rows of the weight
};

class RowProductsTest : public testing::TestWithParam<std::tuple<Sizes, Dtype>> {
 protected:
  void SetUp() override {
    if (machine_instruction_sets().empty()) GTEST_SKIP() << "a processor with AVX2 is needed";
    std::mt19937 random(5);
    std::normal_distribution<float> normal;
    for (float& value : rows_) value = normal(random);
    for (size_t i = 0; i < weight_.size(); ++i) {
      const uint16_t rounded = bfloat16_of(normal(random));
      rounded_weight_[i] = rounded;
      weight_[i] = dtype_ == Dtype::kFloat32 ? normal(random) : float_of(rounded);
    }
  }

  // Of rows [first, first + count), by panels in pieces of so many.
  std::vector<float> products(const InstructionSet& set, int64_t first, int64_t count, int64_t panels_a_piece) const {
    std::vector<float> products(count * sizes_.weight_rows, std::nanf(""));
    const void* weight = dtype_ == Dtype::kFloat32 ? static_cast<const void*>(weight_.data()) : rounded_weight_.data();
    const RowProducts call{.weight = {weight, sizes_.weight_rows, sizes_.columns, sizes_.columns + sizes_.gap},
                           .weight_dtype = dtype_,
                           .rows = rows_.data() + first * sizes_.columns,
                           .num_rows = count,
                           .products = products.data()};
    for (int64_t panel = 0; panel < call.num_panels(); panel += panels_a_piece) {
      call.compute(panel, std::min(panel + panels_a_piece, call.num_panels()), set);
    }
    return products;
  }

  const Sizes sizes_ = std::get<0>(GetParam());
  const Dtype dtype_ = std::get<1>(GetParam());
  std::vector<float> rows_ = std::vector<float>(sizes_.rows * sizes_.columns);
  std::vector<float> weight_ = std::vector<float>(sizes_.weight_rows * (sizes_.columns + sizes_.gap));
  std::vector<uint16_t> rounded_weight_ = std::vector<uint16_t>(weight_.size());
};

// A sum of K products in float is off by K 2^-24 of the sum of their magnitudes at most.
TEST_P(RowProductsTest, AreTheSumsThatDoublePrecisionGives) {
  for (const InstructionSet* set : machine_instruction_sets()) {
    const std::vector<float> ours = products(*set, 0, sizes_.rows, 3);
    for (int64_t row = 0; row < sizes_.rows; ++row) {
      for (int64_t column = 0; column < sizes_.weight_rows; ++column) {
        double sum = 0, magnitudes = 0;
        for (int64_t k = 0; k < sizes_.columns; ++k) {
          const double term = static_cast<double>(rows_[row * sizes_.columns + k]) *
                              weight_[column * (sizes_.columns + sizes_.gap) + k];
          sum += term;
          magnitudes += std::abs(term);
        }
        ASSERT_NEAR(ours[row * sizes_.weight_rows + column], sum,
                    static_cast<double>(sizes_.columns) * std::exp2(-24) * magnitudes)
            << set->name << " row " << row << " column " << column;
      }
    }
  }
}

TEST_P(RowProductsTest, ARowsBitsDependNeitherOnOthersNorOnPieces) {
  for (const InstructionSet* set : machine_instruction_sets()) {
    const std::vector<float> all = products(*set, 0, sizes_.rows, 1);
    EXPECT_EQ(products(*set, 0, sizes_.rows, 1000), all) << set->name;
    for (int64_t row = 0; row < sizes_.rows; row += 7) {
      const auto begin = all.begin() + row * sizes_.weight_rows;
      EXPECT_THAT(products(*set, row, 1, 2), testing::ElementsAreArray(begin, begin + sizes_.weight_rows)) << set->name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, RowProductsTest,
                         testing::Combine(testing::Values(Sizes{1, 1, 1, 0}, Sizes{5, 33, 7, 0}, Sizes{40, 70, 193, 5},
                                                          Sizes{1030, 31, 20, 1}, Sizes{13, 96, 600, 0}),
                                          testing::Values(Dtype::kFloat32, Dtype::kBFloat16)));

}  // namespace
}  // namespace moebench::kernels
