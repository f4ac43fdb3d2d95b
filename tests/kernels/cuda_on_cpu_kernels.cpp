// The device code, compiled as C++.
#include "kernels/cuda/launch.cu"  // NOLINT(bugprone-suspicious-include)
