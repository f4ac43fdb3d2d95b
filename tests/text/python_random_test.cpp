// Vectors of CPython: python3 -c 'import random; random.seed(...); print(random.randint(...))'.
#include "harness/text/python_random.h"

#include <cstdint>
#include <numeric>
#include <stdexcept>
#include <vector>

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

// random.seed(1234)
TEST(PythonRandomTest, RandomIsCPythonsTo53Bits) {
  PythonRandom random(1234);
  for (const double expected : {0.9664535356921388, 0.4407325991753527, 0.007491470058587191}) {
    EXPECT_EQ(random.random(), expected);
  }
}

// random.seed(1234); random.sample(range(...), ...): the shots of GSM8K's first two documents, ARC's and HellaSwag's
// first.
TEST(PythonRandomTest, SamplesOfAnySizeAreCPythons) {
  PythonRandom few(1234);
  EXPECT_EQ(few.sample(7473, 5), (std::vector<size_t>{6374, 3610, 957, 61, 742}));
  EXPECT_EQ(few.sample(7473, 5), (std::vector<size_t>{7462, 6610, 4769, 286, 5501}));
  const std::vector<size_t> many = PythonRandom(1234).sample(1119, 25);
  EXPECT_EQ(std::vector<size_t>(many.begin(), many.begin() + 5), (std::vector<size_t>{902, 239, 15, 185, 71}));
  EXPECT_EQ(PythonRandom(1234).sample(39905, 11),
            (std::vector<size_t>{28883, 7657, 490, 5940, 38156, 2288, 5500, 6450, 23241, 15519, 1142}));
}

// random.seed(7): range(20) fits the pool; random.seed(3): 85 is the largest pool of 6, 22 the smallest set of 5.
TEST(PythonRandomTest, ASamplesPoolEndsWhereCPythonsDoes) {
  EXPECT_EQ(PythonRandom(7).sample(20, 20),
            (std::vector<size_t>{10, 4, 12, 1, 2, 13, 8, 16, 5, 9, 0, 14, 3, 19, 6, 7, 18, 11, 15, 17}));
  EXPECT_EQ(PythonRandom(3).sample(85, 6), (std::vector<size_t>{30, 75, 69, 16, 47, 77}));
  EXPECT_EQ(PythonRandom(3).sample(86, 6), (std::vector<size_t>{30, 75, 69, 16, 47, 77}));
  EXPECT_EQ(PythonRandom(3).sample(21, 5), (std::vector<size_t>{7, 18, 17, 4, 11}));
  EXPECT_EQ(PythonRandom(3).sample(22, 5), (std::vector<size_t>{7, 18, 17, 4, 11}));
  EXPECT_THROW(PythonRandom(3).sample(4, 5), std::invalid_argument);
}

// random.seed(42); random.shuffle(list(range(10)))
TEST(PythonRandomTest, ShufflesAreCPythons) {
  std::vector<int> items(10);
  std::iota(items.begin(), items.end(), 0);
  PythonRandom(42).shuffle(items);
  EXPECT_EQ(items, (std::vector<int>{7, 3, 2, 8, 5, 6, 9, 4, 0, 1}));
}

// random.seed(0); random.choices(range(1000), k=1000): beyond one block of the generator's state. Python's sum and
// last.
TEST(PythonRandomTest, ChoicesAreCPythons) {
  PythonRandom random(0);
  size_t sum = 0, last = 0;
  for (int draw = 0; draw < 1000; ++draw) sum += last = random.choice(1000);
  EXPECT_EQ(sum, 495865);
  EXPECT_EQ(last, 480);
}

TEST(PythonRandomTest, RangesWithoutAWidthAreRefused) {
  PythonRandom random(0);
  EXPECT_THROW(random.randint(1, 0), std::invalid_argument);
  EXPECT_THROW(random.randint(INT64_MIN, INT64_MAX), std::invalid_argument);
}

}  // namespace
}  // namespace moebench
