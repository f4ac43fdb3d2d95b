// What a sound conversion is: the law for files and for conversions made in memory alike.
#include <cmath>
#include <set>
#include <stdexcept>

#include <ATen/ATen.h>

#include "harness/conversion.h"

namespace moebench {
namespace {

constexpr double kLargestScale = 1e6;  // published ones are 0.1 to 16

class LayerCheck {
 public:
  LayerCheck(std::string where, std::optional<int64_t> intermediate_size, std::optional<int64_t> hidden_size)
      : where_(std::move(where)), intermediate_size_(intermediate_size), hidden_size_(hidden_size) {}

  void check(const LayerConversion& layer) {
    if (layer.keep_dense) {
      require(layer.experts.empty() && !layer.shared, "", "is kept dense and yet has experts");
      return;
    }
    const int64_t num_experts = static_cast<int64_t>(layer.experts.size());
    require(num_experts > 0 || layer.shared, "", "has neither a shared nor a routed expert");
    require(layer.top_k >= 0 && layer.top_k <= num_experts, "top_k",
            "is " + std::to_string(layer.top_k) + " of " + std::to_string(num_experts) + " routed experts");
    for (int64_t expert = 0; expert < num_experts; ++expert) {
      check_expert("experts." + std::to_string(expert), layer.experts[expert]);
    }
    if (layer.shared) check_expert("shared", *layer.shared);
    check_router(layer.router, num_experts);
    const bool is_sane = std::abs(layer.rule.scale) <= kLargestScale;  // NaN is not
    require(is_sane, "scale", "is not a number of at most a million in size; convert again");
    check_vector("rule.selection_bias", layer.rule.selection_bias, num_experts);
    check_vector("rule.expert_scale", layer.rule.expert_scale, num_experts);
    check_visits(layer, num_experts);
  }

 private:
  void require(bool holds, const std::string& field, const std::string& problem) const {
    if (!holds) throw std::invalid_argument(where_ + (field.empty() ? "" : ": " + field) + " " + problem);
  }

  // sizes: -1 is the hidden size; the first tensor that has one says what it is, if nobody did.
  void check_shape(const std::string& field, const at::Tensor& tensor, std::vector<int64_t> sizes) {
    require(tensor.defined(), field, "is missing");
    require(tensor.is_floating_point(), field, "must hold floating-point numbers");
    bool fits = tensor.dim() == static_cast<int64_t>(sizes.size());
    for (size_t dimension = 0; fits && dimension < sizes.size(); ++dimension) {
      if (sizes[dimension] == -1)
        sizes[dimension] = hidden_size_.emplace(hidden_size_.value_or(tensor.size(dimension)));
      fits = tensor.size(dimension) == sizes[dimension];
    }
    std::string wanted;
    for (const int64_t size : sizes) wanted += (wanted.empty() ? "" : ", ") + std::to_string(size);
    require(fits, field, "has the wrong shape; [" + wanted + "] is wanted");
  }

  void check_visits(const LayerConversion& layer, int64_t num_experts) const {
    if (layer.rule.visits == RoutingRule::Visits::kTopK) return;
    require(layer.top_k > 0, "visits", "is adaptive but there are no experts to visit");
    require(layer.rule.level > 0 && layer.rule.level <= 1, "level", "must lie above 0 and not above 1");
    require(layer.mean_visits >= 1 && layer.mean_visits <= static_cast<double>(num_experts), "mean_visits",
            "must lie between 1 and the number of routed experts");
  }

  void check_update(const std::string& field, const std::optional<LowRankUpdate>& update, int64_t out, int64_t in) {
    if (!update) return;
    require(update->a.defined() && update->a.dim() == 2, field + ".a", "is not a matrix");
    const int64_t rank = update->a.size(0);
    check_shape(field + ".a", update->a, {rank, in});
    check_shape(field + ".b", update->b, {out, rank});
  }

  void check_vector(const std::string& field, const std::optional<at::Tensor>& tensor, int64_t size) {
    if (tensor) check_shape(field, *tensor, {size});
  }

  void check_expert(const std::string& name, const ExpertSpec& expert) {
    int64_t width = 0;
    if (expert.own_weights) width = check_own_weights(name + ".own", *expert.own_weights);
    if (expert.neurons.defined() || !expert.own_weights) width = check_neurons(name + ".neurons", expert.neurons);
    if (expert.down_proj) check_shape(name + ".down_proj", *expert.down_proj, {-1, width});
    check_update(name + ".updates.gate_proj", expert.updates.gate_proj, width, -1);
    check_update(name + ".updates.up_proj", expert.updates.up_proj, width, -1);
    check_update(name + ".updates.down_proj", expert.updates.down_proj, -1, width);
    require(expert.top_neurons >= 0 && expert.top_neurons <= width, name + ".top_neurons",
            "is " + std::to_string(expert.top_neurons) + " of " + std::to_string(width) + " neurons");
    check_vector(name + ".output_bias", expert.output_bias, -1);
    check_vector(name + ".absent_bias", expert.absent_bias, -1);
  }

  int64_t check_own_weights(const std::string& name, const GatedMlpWeights& weights) {
    const int64_t width = weights.gate_proj.defined() && weights.gate_proj.dim() == 2 ? weights.gate_proj.size(0) : 0;
    check_shape(name + ".gate_proj", weights.gate_proj, {width, -1});
    check_shape(name + ".up_proj", weights.up_proj, {width, -1});
    check_shape(name + ".down_proj", weights.down_proj, {-1, width});
    return width;
  }

  int64_t check_neurons(const std::string& field, const at::Tensor& neurons) const {
    require(neurons.defined(), field, "is missing");
    require(neurons.scalar_type() == at::kLong && neurons.dim() == 1 && neurons.numel() > 0, field,
            "must be a list of at least one int64");
    require(at::diff(neurons).gt(0).all().item<bool>(), field, "must be ascending, every neuron once");
    const int64_t lowest = neurons[0].item<int64_t>(), highest = neurons[-1].item<int64_t>();
    require(lowest >= 0, field, "holds the negative neuron " + std::to_string(lowest));
    require(!intermediate_size_ || highest < *intermediate_size_, field,
            "holds neuron " + std::to_string(highest) + " but the layer has " +
                std::to_string(intermediate_size_.value_or(0)) + "; was it made for another model?");
    return neurons.numel();
  }

  void check_router(const RouterSpec& router, int64_t num_experts) {
    std::set<std::string> known;
    const auto check = [&](const std::string& name, std::vector<int64_t> sizes) {
      const auto found = router.tensors.find(name);
      check_shape("router." + name, found == router.tensors.end() ? at::Tensor() : found->second, std::move(sizes));
      known.insert(name);
    };
    switch (router.kind) {
      case RouterKind::kLinear:
        check("weight", {num_experts, -1});
        if (router.tensors.contains("bias")) check("bias", {num_experts});
        break;
      case RouterKind::kGatedRows:
        check("gate", {num_experts, -1});
        check("up", {num_experts, -1});
        break;
      case RouterKind::kTanhMlp:
        check("first", {num_experts, -1});
        check("second", {num_experts, num_experts});
        break;
      case RouterKind::kQuadratic:
        check("weight", {num_experts, -1});
        check("square", {num_experts, -1});
        check("bias", {num_experts});
        break;
      case RouterKind::kOracle:
        break;
      case RouterKind::kStatic:
        require(num_experts == 0, "router", "is static but there are experts to choose from");
    }
    for (const auto& [name, tensor] : router.tensors) {
      require(known.contains(name), "router." + name, "is not a tensor of this kind of router");
    }
  }

  std::string where_;
  std::optional<int64_t> intermediate_size_, hidden_size_;
};

}  // namespace

void check_layer_conversion(const LayerConversion& layer, const std::string& where,
                            std::optional<int64_t> intermediate_size, std::optional<int64_t> hidden_size) {
  LayerCheck(where, intermediate_size, hidden_size).check(layer);
}

void check_retrained(const Conversion& conversion) {
  for (const auto& [name, update] : conversion.model_updates) {
    const bool fits = update.a.dim() == 2 && update.b.dim() == 2 && update.a.size(0) == update.b.size(1) &&
                      update.a.is_floating_point() && update.b.is_floating_point();
    if (!fits) throw std::invalid_argument("model_updates." + name + " must be two matrices, a and b, of one rank");
  }
  for (const auto& [name, tensor] : conversion.model_tensors) {
    if (tensor.is_floating_point()) continue;
    throw std::invalid_argument("model_tensors." + name + " must hold floating-point numbers");
  }
}

void check_conversion(const Conversion& conversion, int64_t num_layers, int64_t intermediate_size,
                      int64_t hidden_size) {
  if (static_cast<int64_t>(conversion.layers.size()) != num_layers) {
    throw std::invalid_argument("the conversion has " + std::to_string(conversion.layers.size()) +
                                " layers and the model " + std::to_string(num_layers) +
                                "; was it made for another model?");
  }
  for (int64_t layer = 0; layer < num_layers; ++layer) {
    check_layer_conversion(conversion.layers[layer], "layer " + std::to_string(layer), intermediate_size, hidden_size);
  }
}

}  // namespace moebench
