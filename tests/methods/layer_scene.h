// One dense layer and what its FFN saw of some windows, for showing to observers without a model.
#pragma once

#include <vector>

#include <ATen/core/Tensor.h>

#include "harness/converter.h"

namespace moebench {

struct Window {
  at::Tensor inputs, gate, up, activations, residual;

  // The residual is the inputs times three: any stream will do.
  Window(const GatedMlpWeights& dense, const at::Tensor& inputs);
  FfnChunk chunk() const { return {inputs, gate, up, activations, residual, 0}; }
};

// F neurons, D hidden_size, normal numbers.
GatedMlpWeights random_mlp(int64_t num_neurons, int64_t hidden_size, uint64_t seed);
// num_windows of [tokens, hidden_size].
std::vector<at::Tensor> random_windows(int64_t num_windows, int64_t tokens, int64_t hidden_size, uint64_t seed);

// Shows the windows to the method's observer of this layer and converts it.
LayerConversion convert_layer(const Converter& converter, const GatedMlpWeights& dense,
                              const std::vector<at::Tensor>& windows, const MoeShape& shape, uint64_t seed = 0,
                              int64_t layer = 0);

// A method as the registry makes it.
std::unique_ptr<Converter> make_converter(const std::string& name,
                                          const nlohmann::json& options = nlohmann::json::object());

}  // namespace moebench
