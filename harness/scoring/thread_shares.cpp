#include "harness/scoring/thread_shares.h"

#include <atomic>

#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

namespace moebench {

void share_among_threads(int64_t count, const std::function<void(int64_t)>& work) {
  std::atomic<int64_t> next = 0;
  // As many ranges as threads, even for less work than that: operators outside a parallel region would use them all.
  at::parallel_for(0, at::get_num_threads(), /*grain_size=*/1, [&](int64_t, int64_t) {
    const c10::InferenceMode inference;
    for (int64_t piece = next++; piece < count; piece = next++) work(piece);
  });
}

}  // namespace moebench
