#include "harness/lm_eval/bootstrap.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <thread>
#include <vector>

#include "harness/lm_eval/metric_aggregation.h"
#include "harness/text/python_random.h"

namespace moebench {
namespace {

// exp(-mean) without a copy of the resample: LAMBADA's 5153 documents are drawn 100000 times.
double resampled_perplexity(PythonRandom& random, std::span<const double> loglikelihoods) {
  double sum = 0;
  for (size_t draw = 0; draw < loglikelihoods.size(); ++draw)
    sum += loglikelihoods[random.choice(loglikelihoods.size())];
  return std::exp(-(sum / static_cast<double>(loglikelihoods.size())));
}

void fill_chunk(Aggregation aggregation, std::span<const DocumentValue> values, uint64_t seed,
                std::span<double> replicates) {
  PythonRandom random(seed);
  if (aggregation == Aggregation::kPerplexity) {
    std::vector<double> loglikelihoods;
    for (const DocumentValue& item : values) loglikelihoods.push_back(item.value);
    for (double& replicate : replicates) replicate = resampled_perplexity(random, loglikelihoods);
    return;
  }
  std::vector<DocumentValue> resample(values.size());
  for (double& replicate : replicates) {
    for (DocumentValue& item : resample) item = values[random.choice(values.size())];
    replicate = aggregate(aggregation, resample);
  }
}

double sample_deviation(std::span<const double> values) {
  const auto count = static_cast<double>(values.size());
  double sum = 0, squares = 0;
  for (const double value : values) sum += value;
  const double mean = sum / count;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return values.size() < 2 ? std::numeric_limits<double>::quiet_NaN() : std::sqrt(squares / (count - 1));
}

}  // namespace

double bootstrap_standard_error(Aggregation aggregation, std::span<const DocumentValue> values, int64_t iterations) {
  aggregate(aggregation, values);  // what it throws, it throws here and not in a thread
  const auto chunk_size = static_cast<size_t>(std::min<int64_t>(1000, iterations));
  const size_t num_chunks = static_cast<size_t>(iterations) / chunk_size;
  std::vector<double> replicates(num_chunks * chunk_size);
  std::atomic<size_t> next_chunk = 0;
  const auto work = [&] {
    for (size_t chunk = next_chunk++; chunk < num_chunks; chunk = next_chunk++) {
      fill_chunk(aggregation, values, chunk, std::span(replicates).subspan(chunk * chunk_size, chunk_size));
    }
  };
  const size_t num_threads = std::min<size_t>(num_chunks, std::max(1u, std::thread::hardware_concurrency()));
  std::vector<std::jthread> helpers;
  for (size_t thread = 1; thread < num_threads; ++thread) helpers.emplace_back(work);
  work();
  helpers.clear();  // joins
  return sample_deviation(replicates);
}

}  // namespace moebench
