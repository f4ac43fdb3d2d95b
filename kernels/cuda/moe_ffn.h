// The mixture on an NVIDIA device. Weights are copied to it once; a call's stages follow one another on a stream
// without waiting for the host.
#pragma once

#include <memory>

#include "kernels/moe_ffn.h"

namespace moebench::kernels::cuda {

enum class Strategy {
  kComposite,  // one kernel after another for each step: gather, gate and up, SiLU, down, sum
  kPrefill,    // gather and SiLU within the products
  kDecode,     // three launches, weights read once; tokens in groups of 16
  kAuto,       // kDecode up to 16 tokens, else kPrefill (a threshold that nobody has measured)
};

struct Options {
  Strategy strategy = Strategy::kAuto;
  // That are computed at once, 1 to 65535: decides how much memory calls need. Longer calls go in parts. kDecode needs
  // none of it.
  int64_t most_tokens = 4096;
};

class DeviceMoeFfn : public MoeFfnKernel {
 public:
  // As run, but all pointers of the call are the device's, and the stream (a cudaStream_t) does the work when its turn
  // comes. Can be captured in a CUDA graph; the memory in between is this object's, so calls must not overlap. Given
  // experts out of range are not visited: the host does not see them. Throws std::invalid_argument, and
  // std::runtime_error for what the runtime says of the launches.
  virtual void enqueue(const MoeFfnCall& call, void* stream) const = 0;
};

// On the current device, which must be that of later calls' threads, too. Throws std::invalid_argument naming what of
// the network or the options is not sound, std::runtime_error where the device has not enough memory.
std::unique_ptr<DeviceMoeFfn> make_moe_ffn(const MoeFfn& network, const Options& options);

}  // namespace moebench::kernels::cuda
