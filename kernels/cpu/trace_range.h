// Names for what a profiler shows: NVTX ranges of one domain, "moebench". They do nothing where no tool listens, and
// are left out where the program is built without NVTX's headers.
#pragma once

#include <cstdint>

#ifdef MOEBENCH_NVTX
#include <nvtx3/nvtx3.hpp>
#endif

namespace moebench::kernels {

enum class TraceStage { kMixture, kDense, kRoute, kGateUp, kDown };

#ifdef MOEBENCH_NVTX

struct TraceDomain {
  static constexpr const char* name = "moebench";
};

inline const nvtx3::registered_string_in<TraceDomain>& trace_name(TraceStage stage) {
  using Name = nvtx3::registered_string_in<TraceDomain>;
  static const Name mixture("moe_ffn"), dense("dense_ffn"), route("route"), gate_up("gate_up"), down("down");
  switch (stage) {
    case TraceStage::kMixture:
      return mixture;
    case TraceStage::kDense:
      return dense;
    case TraceStage::kRoute:
      return route;
    case TraceStage::kGateUp:
      return gate_up;
    case TraceStage::kDown:
      break;
  }
  return down;
}

// From here to the end of the block, on this thread; its payload is the number of tokens.
class TraceRange {
 public:
  TraceRange(TraceStage stage, int64_t num_tokens)
      : range_(nvtx3::event_attributes{trace_name(stage), nvtx3::payload{num_tokens}}) {}

 private:
  nvtx3::scoped_range_in<TraceDomain> range_;
};

#else

class TraceRange {
 public:
  TraceRange(TraceStage, int64_t) {}
};

#endif

}  // namespace moebench::kernels
