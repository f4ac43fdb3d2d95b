// The most memory that this process has held.
#pragma once

#include <cstdint>

namespace moebench {

// Counts anew from now on. Where the kernel does not allow it, the peak stays that since the process's start.
void reset_peak_memory();
int64_t peak_memory_bytes();  // 0 where the kernel does not say

}  // namespace moebench
