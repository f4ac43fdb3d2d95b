#include "harness/latency/model_stacks.h"

#include <algorithm>
#include <stdexcept>

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include "harness/model/moe_layer.h"

namespace moebench {
namespace {

// Computes what is in the slot, and keeps what it was given.
class Recorder : public FeedForward {
 public:
  Recorder(const FeedForward& inner, at::Tensor& seen) : inner_(inner), seen_(seen) {}
  at::Tensor forward(const at::Tensor& hidden) const override {
    seen_ = hidden.clone();
    return inner_.forward(hidden);
  }

 private:
  const FeedForward& inner_;
  at::Tensor& seen_;
};

std::vector<at::Tensor> inputs_of_layers(const LlamaModel& model, const at::Tensor& ids) {
  std::vector<at::Tensor> seen(model.layers().size());
  LlamaModel recording = model;
  for (size_t layer = 0; layer < seen.size(); ++layer) {
    recording.layers()[layer].replace_feed_forward(
        std::make_shared<Recorder>(model.layers()[layer].feed_forward(), seen[layer]));
  }
  recording.forward(ids.unsqueeze(0));
  return seen;
}

MixtureTensors dense_tensors(const LlamaLayer& layer) {
  return {.shared = ExpertTensors{layer.dense_weights(), std::nullopt, std::nullopt}};
}

MixtureTensors tensors_in_slot(const LlamaLayer& layer) {
  const auto* mixture = dynamic_cast<const MoeLayer*>(&layer.feed_forward());
  return mixture == nullptr ? dense_tensors(layer) : mixture->tensors().value();
}

}  // namespace

LlamaModel with_dense_feed_forward(const LlamaModel& model) {
  LlamaModel dense = model;
  for (LlamaLayer& layer : dense.layers()) {
    const int64_t num_neurons = layer.dense_weights().gate_proj.size(0);
    const LayerConversion everything{.shared = ExpertSpec{.neurons = at::arange(num_neurons, at::kLong)}};
    layer.replace_feed_forward(std::make_shared<MoeLayer>(layer.dense_weights(), everything));
  }
  return dense;
}

bool has_bound(const LlamaModel& model) {
  return std::any_of(model.layers().begin(), model.layers().end(), [](const LlamaLayer& layer) {
    const auto* mixture = dynamic_cast<const MoeLayer*>(&layer.feed_forward());
    return mixture != nullptr && !mixture->tensors();
  });
}

ModelStacks model_stacks(const LlamaModel& model, const at::Tensor& ids) {
  if (has_bound(model)) {
    throw std::invalid_argument(
        "latency: an oracle router or a token's top neurons are bounds; no kernel computes them");
  }
  const c10::InferenceMode inference;
  ModelStacks result{.inputs = inputs_of_layers(model, ids)};
  bool is_converted = false;
  for (const LlamaLayer& layer : model.layers()) {
    if (!KernelNetwork::exists_for(dense_tensors(layer))) {
      throw std::runtime_error("latency: no kernel for this processor, device or dtype");
    }
    is_converted = is_converted || dynamic_cast<const MoeLayer*>(&layer.feed_forward()) != nullptr;
  }
  const auto add_stack = [&](const std::string& name, MixtureTensors (*tensors)(const LlamaLayer&)) {
    kernels::LayerStack stack{.name = name, .num_inputs = ids.size(0)};
    for (size_t layer = 0; layer < model.layers().size(); ++layer) {
      result.networks.emplace_back(tensors(model.layers()[layer]));
      stack.layers.push_back(result.networks.back().network());
      stack.inputs.push_back(result.inputs[layer].const_data_ptr());
    }
    result.stacks.push_back(std::move(stack));
  };
  add_stack("dense", dense_tensors);
  if (is_converted) add_stack("converted", tensors_in_slot);
  return result;
}

}  // namespace moebench
