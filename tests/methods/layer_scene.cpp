#include "tests/methods/layer_scene.h"

#include <cmath>

#include <ATen/ATen.h>

namespace moebench {

Window::Window(const GatedMlpWeights& dense, const at::Tensor& inputs)
    : inputs(inputs),
      gate(at::linear(inputs, dense.gate_proj)),
      up(at::linear(inputs, dense.up_proj)),
      activations(at::silu(gate) * up),
      residual(3 * inputs) {}

GatedMlpWeights random_mlp(int64_t num_neurons, int64_t hidden_size, uint64_t seed) {
  const at::Generator generator = at::detail::createCPUGenerator(seed);
  const double scale = 1 / std::sqrt(static_cast<double>(hidden_size));
  return {at::randn({num_neurons, hidden_size}, generator) * scale,
          at::randn({num_neurons, hidden_size}, generator) * scale,
          at::randn({hidden_size, num_neurons}, generator) / std::sqrt(static_cast<double>(num_neurons))};
}

std::vector<at::Tensor> random_windows(int64_t num_windows, int64_t tokens, int64_t hidden_size, uint64_t seed) {
  const at::Generator generator = at::detail::createCPUGenerator(seed);
  return at::randn({num_windows, tokens, hidden_size}, generator).unbind(0);
}

LayerConversion convert_layer(const Converter& converter, const GatedMlpWeights& dense,
                              const std::vector<at::Tensor>& windows, const MoeShape& shape, uint64_t seed,
                              int64_t layer) {
  const DenseLayer dense_layer{layer, dense};
  const std::unique_ptr<LayerObserver> observer =
      converter.observe_layer({.dense = dense_layer, .num_layers = layer + 1, .shape = shape, .seed = seed});
  for (const at::Tensor& inputs : windows) {
    const Window window(dense, inputs);
    observer->observe(window.chunk());
  }
  return observer->convert(dense_layer, shape);
}

std::unique_ptr<Converter> make_converter(const std::string& name, const nlohmann::json& options) {
  return ConverterRegistry::instance().find(name).create(options);
}

}  // namespace moebench
