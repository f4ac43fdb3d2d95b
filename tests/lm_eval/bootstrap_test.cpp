#include "harness/lm_eval/bootstrap.h"

#include <cmath>

#include <gtest/gtest.h>

#include "harness/lm_eval/metric_aggregation.h"
#include "harness/text/python_random.h"

namespace moebench {
namespace {

std::vector<DocumentValue> random_values(size_t count) {
  PythonRandom random(42);
  std::vector<DocumentValue> values;
  for (size_t place = 0; place < count; ++place) values.push_back({.value = -random.random(), .second = 1});
  return values;
}

// lm_eval.api.metrics.bootstrap_stderr(perplexity, xs, iters) of 0.4.13, xs: -random.random() with seed 42.
TEST(BootstrapTest, PerplexitysErrorIsLmEvalsToTheLastDigit) {
  EXPECT_EQ(bootstrap_standard_error(Aggregation::kPerplexity, random_values(2), 10), 0.27896683078708834);
  EXPECT_EQ(bootstrap_standard_error(Aggregation::kPerplexity, random_values(37), 2500), 0.07891242913136398);
  EXPECT_EQ(bootstrap_standard_error(Aggregation::kPerplexity, random_values(700), 3000), 0.017994792282028185);
}

// The statistic resampled by hand: two chunks, 500 iterations dropped.
TEST(BootstrapTest, ChunksAreSeededByTheirNumberAndARestIsDropped) {
  const std::vector<DocumentValue> values = random_values(9);
  std::vector<double> replicates;
  for (const uint64_t chunk : {0, 1}) {
    PythonRandom random(chunk);
    for (int draw = 0; draw < 1000; ++draw) {
      double sum = 0;
      for (size_t place = 0; place < values.size(); ++place) sum += values[random.choice(values.size())].value;
      replicates.push_back(std::exp(-sum / 9));
    }
  }
  double mean = 0, squares = 0;
  for (const double replicate : replicates) mean += replicate / 2000;
  for (const double replicate : replicates) squares += (replicate - mean) * (replicate - mean) / 1999;
  EXPECT_NEAR(bootstrap_standard_error(Aggregation::kPerplexity, values, 2500), std::sqrt(squares), 1e-14);
}

// Of a mean's exponential the bootstrap nears the delta method: exp(-mean) times the mean's error.
TEST(BootstrapTest, ManyIterationsNearTheDeltaMethod) {
  const std::vector<DocumentValue> values = random_values(2000);
  const double perplexity = aggregate(Aggregation::kPerplexity, values);
  const double mean_error = *standard_error(Aggregation::kMean, values);
  EXPECT_NEAR(bootstrap_standard_error(Aggregation::kPerplexity, values, 20000) / (perplexity * mean_error), 1, 0.02);
}

TEST(BootstrapTest, OneIterationHasNoDeviation) {
  EXPECT_TRUE(std::isnan(bootstrap_standard_error(Aggregation::kPerplexity, random_values(3), 1)));
}

}  // namespace
}  // namespace moebench
