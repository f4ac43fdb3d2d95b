// Vectors of CPython: python3 -c 'import random; random.seed(...); print(random.randint(...))'.
#include "harness/text/python_random.h"

#include <cstdint>

#include <gtest/gtest.h>

namespace moebench {
namespace {

TEST(PythonRandomTest, DrawsOfOneGeneratorFollowEachOtherAsCPythons) {
  PythonRandom random(0);
  EXPECT_EQ(random.randint(0, (int64_t{1} << 32) - 1), 3626764237);
  EXPECT_EQ(random.randint(0, INT64_MAX), 746805015404516437);
  EXPECT_EQ(random.randint(0, 9), 4);
  EXPECT_EQ(random.randint(-5, 5), 3);
}

// random.seed(2**40 + 7): a seed of two limbs and a range of more than 32 bits.
TEST(PythonRandomTest, WideSeedsAndRangesAreCPythons) {
  PythonRandom random((uint64_t{1} << 40) + 7);
  for (const int64_t expected : {822974591189, 704138462752, 775543922671}) {
    EXPECT_EQ(random.randint(-5, 1000000000000), expected);
  }
  EXPECT_EQ(PythonRandom(UINT64_MAX).randint(0, int64_t{1} << 32), 93740670);
}

TEST(PythonRandomTest, RangesWithoutAWidthAreRefused) {
  PythonRandom random(0);
  EXPECT_THROW(random.randint(1, 0), std::invalid_argument);
  EXPECT_THROW(random.randint(INT64_MIN, INT64_MAX), std::invalid_argument);
}

}  // namespace
}  // namespace moebench
