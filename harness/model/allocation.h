// How the process's memory serves tensors that come and go.
#pragma once

namespace moebench {

// Keeps the memory of freed tensors up to 32 MB each for the tensors that follow, where the C library can (glibc).
// Given back to the system and taken again, every page is zeroed and faulted in anew, which costs as much as computing
// what is written into it. Call once, at the start of a program.
void keep_freed_memory();

}  // namespace moebench
