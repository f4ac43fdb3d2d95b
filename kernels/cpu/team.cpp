#include "kernels/cpu/team.h"

#include <omp.h>
#include <sched.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

namespace moebench::kernels {
namespace {

// Some tens of microseconds: longer than threads that all run are apart, shorter than a time slice.
constexpr int kSpins = 1000;

void pause() {
#ifdef __x86_64__
  _mm_pause();
#endif
}

}  // namespace

void Barrier::wait(int num_threads) {
  if (num_threads == 1) return;
  const int generation = generation_.load(std::memory_order_relaxed);
  if (num_arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == num_threads) {
    num_arrived_.store(0, std::memory_order_relaxed);
    generation_.store(generation + 1, std::memory_order_release);
    return;
  }
  for (int spins = 0; generation_.load(std::memory_order_acquire) == generation; ++spins) {
    spins < kSpins ? pause() : static_cast<void>(sched_yield());
  }
}

void run_team(int max_threads, const std::function<void(int thread, int num_threads)>& work) {
  if (max_threads == 1) return work(0, 1);
#pragma omp parallel num_threads(max_threads)
  work(omp_get_thread_num(), omp_get_num_threads());
}

}  // namespace moebench::kernels
