// Vectors of CPython's random module: specs/evaluation.md 1.7, and python3 -c 'import random; ...' as noted.
#include "harness/text/python_random.h"

#include <cstdint>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace moebench {
namespace {

using testing::ElementsAre;

TEST(PythonRandomTest, RandomIsCPythons) {
  PythonRandom random(1234);
  EXPECT_EQ(random.random(), 0.9664535356921388);
  EXPECT_EQ(random.random(), 0.4407325991753527);
  EXPECT_EQ(random.random(), 0.007491470058587191);
}

TEST(PythonRandomTest, SamplesAreThePublishedFewShotExamples) {
  PythonRandom gsm8k(1234);
  EXPECT_THAT(gsm8k.sample(7473, 5), ElementsAre(6374, 3610, 957, 61, 742));
  EXPECT_THAT(gsm8k.sample(7473, 5), ElementsAre(7462, 6610, 4769, 286, 5501));
  const auto arc = PythonRandom(1234).sample(1119, 25);
  EXPECT_THAT(std::vector(arc.begin(), arc.begin() + 5), ElementsAre(902, 239, 15, 185, 71));
  EXPECT_THAT(PythonRandom(1234).sample(39905, 11),
              ElementsAre(28883, 7657, 490, 5940, 38156, 2288, 5500, 6450, 23241, 15519, 1142));
}

TEST(PythonRandomTest, ShuffleIsCPythons) {
  std::vector<int> values(10);
  std::iota(values.begin(), values.end(), 0);
  PythonRandom(42).shuffle(values);
  EXPECT_THAT(values, ElementsAre(7, 3, 2, 8, 5, 6, 9, 4, 0, 1));
}

// random.seed(2**40 + 7): a seed of two limbs and a range of more than 32 bits.
TEST(PythonRandomTest, WideSeedsAndRangesAreCPythons) {
  PythonRandom random((uint64_t{1} << 40) + 7);
  for (const int64_t expected : {822974591189, 704138462752, 775543922671}) {
    EXPECT_EQ(random.randint(-5, 1000000000000), expected);
  }
  EXPECT_EQ(PythonRandom(UINT64_MAX).randint(0, int64_t{1} << 32), 93740670);
}

// random.seed(0); sample(range(10), 4); choices(range(1000), k=4); randrange(2**32); randrange(2**63).
TEST(PythonRandomTest, DrawsOfOneGeneratorFollowEachOtherAsCPythons) {
  PythonRandom random(0);
  EXPECT_THAT(random.sample(10, 4), ElementsAre(6, 9, 0, 2));
  EXPECT_THAT(random.choices(1000, 4), ElementsAre(965, 485, 918, 829));
  EXPECT_EQ(random.randbelow(uint64_t{1} << 32), 4156669319u);
  EXPECT_EQ(random.randbelow(uint64_t{1} << 63), 5198990648923353370u);
}

// random.seed(7); sample(range(30), 21): more than the 21 of CPython's smallest set.
TEST(PythonRandomTest, LargeSamplesOfSmallPopulationsAreCPythons) {
  EXPECT_THAT(PythonRandom(7).sample(30, 21),
              ElementsAre(10, 4, 12, 20, 1, 2, 17, 3, 11, 18, 25, 16, 6, 19, 24, 23, 14, 26, 22, 27, 8));
}

TEST(PythonRandomTest, EmptyRangesAreRefused) {
  PythonRandom random(0);
  EXPECT_THROW(random.randbelow(0), std::invalid_argument);
  EXPECT_THROW(random.randint(1, 0), std::invalid_argument);
  EXPECT_THROW(random.sample(3, 4), std::invalid_argument);
  EXPECT_THROW(random.choices(0, 1), std::invalid_argument);
}

}  // namespace
}  // namespace moebench
