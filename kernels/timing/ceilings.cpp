#include "kernels/timing/ceilings.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>

#include "kernels/cpu/packed_weights.h"
#include "kernels/cpu/team.h"

namespace moebench::kernels {
namespace {

constexpr int kTries = 7;
constexpr int64_t kReadBytes = int64_t{512} << 20;
constexpr int64_t kChainSteps = 2'000'000;

// Seconds of work(thread) on all threads at once, at best.
double best_seconds(int num_threads, const std::function<void(int thread)>& work) {
  double best = 1e30;
  for (int attempt = 0; attempt < kTries; ++attempt) {
    Barrier barrier;
    std::atomic<double> seconds = 0;
    run_team(num_threads, [&](int thread, int team_size) {
      barrier.wait(team_size);
      const auto begin = std::chrono::steady_clock::now();
      work(thread);
      barrier.wait(team_size);
      if (thread == 0) seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    });
    best = std::min(best, seconds.load());
  }
  return best;
}

double chain_flops(const MicroKernels& micro_kernels, int num_threads) {
  const double seconds = best_seconds(num_threads, [&](int) { micro_kernels.chain(kChainSteps); });
  return num_threads * static_cast<double>(kChainSteps) * micro_kernels.chain_step_flops / seconds;
}

}  // namespace

Ceilings measure_ceilings(const InstructionSet& instruction_set, int num_threads) {
  const AlignedMemory memory(kReadBytes);
  std::memset(memory.data(), 1, kReadBytes);  // else all of it would be one page of zeros
  const int64_t share = kReadBytes / num_threads / 4096 * 4096;
  const double seconds =
      best_seconds(num_threads, [&](int thread) { instruction_set.read(memory.data() + thread * share, share); });
  return {.read_bytes_per_second = static_cast<double>(num_threads * share) / seconds,
          .float32_flops = chain_flops(instruction_set.float32, num_threads),
          .bfloat16_flops = chain_flops(instruction_set.bfloat16, num_threads)};
}

}  // namespace moebench::kernels
