// Names for what a profiler shows: NVTX ranges of one domain, "moebench". They do nothing where no tool listens, and
// are left out where the program is built without NVTX's headers.
#pragma once

#include <cstdint>

#ifdef MOEBENCH_NVTX
#include <nvtx3/nvtx3.hpp>
#endif

namespace moebench::kernels {

enum class TraceStage { kMixture, kDense, kRoute, kGather, kGateUp, kActivate, kDown, kCombine };

#ifdef MOEBENCH_NVTX

struct TraceDomain {
  static constexpr const char* name = "moebench";
};

inline const nvtx3::registered_string_in<TraceDomain>& trace_name(TraceStage stage) {
  using Name = nvtx3::registered_string_in<TraceDomain>;
  static const Name mixture("moe_ffn"), dense("dense_ffn"), route("route"), gather("gather"), gate_up("gate_up"),
      activate("activate"), down("down"), combine("combine");
  switch (stage) {
    case TraceStage::kMixture:
      return mixture;
    case TraceStage::kDense:
      return dense;
    case TraceStage::kRoute:
      return route;
    case TraceStage::kGather:
      return gather;
    case TraceStage::kGateUp:
      return gate_up;
    case TraceStage::kActivate:
      return activate;
    case TraceStage::kDown:
      return down;
    case TraceStage::kCombine:
      break;
  }
  return combine;
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
