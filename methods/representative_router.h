// CMoE's router for experts that another split made.
#pragma once

#include "harness/conversion.h"
#include "harness/converter.h"
#include "methods/activation_markers.h"

namespace moebench {

// Markers as CMoE's released code counts them: its 10 neurons a token, or all of a smaller layer.
ActivationMarkers cmoe_markers(const GatedMlpWeights& dense);

// Gives the layer CMoE's analytic router (set_analytic_router) that reads each expert's representative neuron: the one
// whose markers are nearest to the expert's mean. The experts must be there.
void set_representative_router(LayerConversion& conversion, const DenseLayer& layer, const MarkerMatrix& markers);

}  // namespace moebench
