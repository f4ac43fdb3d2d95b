#include "methods/representative_router.h"

#include <algorithm>
#include <span>
#include <vector>

#include <ATen/ATen.h>

#include "methods/analytic_router.h"
#include "methods/marker_clusters.h"

namespace moebench {
namespace {

constexpr int64_t kMarkedNeurons = 10;  // CMoE's K_a

}  // namespace

ActivationMarkers cmoe_markers(const GatedMlpWeights& dense) {
  return {dense, ActivationScore::kNormalised, std::min(kMarkedNeurons, dense.gate_proj.size(0))};
}

void set_representative_router(LayerConversion& conversion, const DenseLayer& layer, const MarkerMatrix& markers) {
  std::vector<int64_t> representatives;
  for (const ExpertSpec& expert : conversion.experts) {
    const std::span cluster(expert.neurons.const_data_ptr<int64_t>(), static_cast<size_t>(expert.neurons.numel()));
    representatives.push_back(representative(markers, cluster));
  }
  set_analytic_router(conversion, layer, representatives);
}

}  // namespace moebench
