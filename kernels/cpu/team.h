// The threads of one call: a fork, barriers between its stages, a join.
#pragma once

#include <atomic>
#include <functional>

namespace moebench::kernels {

class Barrier {
 public:
  // Returns when num_threads have come. What each wrote before, all see after. Spins, and gives way where that lasts.
  void wait(int num_threads);

 private:
  std::atomic<int> num_arrived_{0}, generation_{0};
};

// Runs work(thread, num_threads) on max_threads threads at once, or on fewer (one, inside another parallel region).
// work must not throw.
void run_team(int max_threads, const std::function<void(int thread, int num_threads)>& work);

}  // namespace moebench::kernels
