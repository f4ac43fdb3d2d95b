// Work whose pieces take different times, shared among threads that each compute alone.
#pragma once

#include <cstdint>
#include <functional>

namespace moebench {

// Calls work(0) to work(count - 1), each once, on all threads; operators called within stay on their thread. Inference
// mode. Rethrows the first exception.
void share_among_threads(int64_t count, const std::function<void(int64_t)>& work);

}  // namespace moebench
