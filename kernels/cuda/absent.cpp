// In place of all else in this folder where the program is built without CUDA.
#include "kernels/cuda/variants.h"

namespace moebench::kernels::cuda {

const std::string& why_unavailable() {
  static const std::string why = "this program was built without CUDA (MOEBENCH_CUDA)";
  return why;
}

std::vector<MoeFfnVariant> variants() { return {}; }

}  // namespace moebench::kernels::cuda
