// How much of the model hangs on each layer's feed-forward network, measured on calibration text alone.
#pragma once

#include <vector>

#include "harness/converter.h"

namespace moebench {

// How far the final hidden states move, as a law in the share of one layer's neurons that is missing:
// scale * dropped^exponent, 0 where none is.
struct LayerSensitivity {
  double scale = 0, exponent = 1;  // exponent >= 1: each further neuron costs as much as the last or more

  double movement(double dropped) const;
};

// One for each layer. The law goes through two measurements: a quarter and a half of this layer's neurons give their
// mean output instead, those of each token that add the least to its output, and all other layers are dense. (With the
// same neurons for all tokens the laws come out nearly linear, and budgets at their bounds, which a model that is
// pruned in all layers does not bear.) A movement is the mean over tokens of ||difference||^2 / ||dense||^2 after the
// last norm, to which the Kullback-Leibler divergence of the predictions is proportional within a fifth on
// SmolLM2-135M. Reads 1024 tokens of the text, pieces from evenly spaced windows of all domains; streams layer by
// layer, holding one layer and 2 num_layers + 1 residual streams of those tokens; as much work as num_layers dense
// passes over them. Throws std::runtime_error where the model's hidden states are not finite.
std::vector<LayerSensitivity> measure_sensitivity(const ConversionContext& context);

}  // namespace moebench
