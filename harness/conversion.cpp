#include "harness/conversion.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "harness/checkpoint/safetensors.h"
#include "harness/model/weight.h"

namespace moebench {
namespace {

constexpr int64_t kFormatVersion = 2;  // 2: adaptive visits, retrained tensors

template <class Enum>
struct Names {
  const char* field;
  std::vector<std::pair<Enum, const char*>> pairs;

  std::string of(Enum value) const {
    for (const auto& [known, name] : pairs) {
      if (known == value) return name;
    }
    throw std::logic_error(std::string(field) + " without a name");
  }
  Enum find(const std::string& text) const {
    std::string list;
    for (const auto& [value, name] : pairs) {
      if (text == name) return value;
      list += std::string(" ") + name;
    }
    throw std::invalid_argument(std::string(field) + " '" + text + "' is unknown; known:" + list);
  }
};

const Names<RouterKind> kRouterNames{"router",
                                     {{RouterKind::kLinear, "linear"},
                                      {RouterKind::kGatedRows, "gated_rows"},
                                      {RouterKind::kTanhMlp, "tanh_mlp"},
                                      {RouterKind::kOracle, "oracle"},
                                      {RouterKind::kStatic, "static"},
                                      {RouterKind::kQuadratic, "quadratic"}}};
const Names<RoutingRule::Softmax> kSoftmaxNames{"softmax",
                                                {{RoutingRule::Softmax::kNone, "none"},
                                                 {RoutingRule::Softmax::kBeforeTopK, "before_top_k"},
                                                 {RoutingRule::Softmax::kAfterTopK, "after_top_k"}}};
const Names<RoutingRule::Weights> kWeightsNames{
    "weights",
    {{RoutingRule::Weights::kUnit, "unit"},
     {RoutingRule::Weights::kScores, "scores"},
     {RoutingRule::Weights::kOnePlusScaledScores, "one_plus_scaled_scores"}}};

const Names<RoutingRule::Visits> kVisitsNames{"visits",
                                              {{RoutingRule::Visits::kTopK, "top_k"},
                                               {RoutingRule::Visits::kCumulativeMass, "cumulative_mass"},
                                               {RoutingRule::Visits::kThreshold, "threshold"}}};

constexpr const char* kModelTensors = "model_tensors.";
constexpr const char* kModelUpdates = "model_updates.";

std::string layer_prefix(int64_t layer) { return "layers." + std::to_string(layer) + "."; }

// Writing and reading visit the same tensors by the same names.
template <class Expert, class Visit>
void visit_optional_tensors(Expert& expert, const std::string& prefix, const Visit& visit) {
  visit(prefix + "down_proj", expert.down_proj);
  visit(prefix + "output_bias", expert.output_bias);
  visit(prefix + "absent_bias", expert.absent_bias);
}

template <class Rule, class Visit>
void visit_rule_tensors(Rule& rule, const std::string& prefix, const Visit& visit) {
  visit(prefix + "rule.selection_bias", rule.selection_bias);
  visit(prefix + "rule.expert_scale", rule.expert_scale);
}

template <class Weights, class Visit>
void visit_own_weights(Weights& weights, const std::string& prefix, const Visit& visit) {
  visit(prefix + "own.gate_proj", weights.gate_proj);
  visit(prefix + "own.up_proj", weights.up_proj);
  visit(prefix + "own.down_proj", weights.down_proj);
}

template <class Updates, class Visit>
void visit_updates(Updates& updates, const std::string& prefix, const Visit& visit) {
  visit(prefix + "updates.gate_proj.", updates.gate_proj);
  visit(prefix + "updates.up_proj.", updates.up_proj);
  visit(prefix + "updates.down_proj.", updates.down_proj);
}

class Writer {
 public:
  std::map<std::string, at::Tensor> tensors;

  void add_retrained(const Conversion& conversion) {
    for (const auto& [name, tensor] : conversion.model_tensors) add_tensor(kModelTensors + name, tensor);
    for (const auto& [name, update] : conversion.model_updates) add_update(kModelUpdates + name + ".", update);
  }

  void add(const LayerConversion& layer, const std::string& prefix) {
    for (size_t expert = 0; expert < layer.experts.size(); ++expert) {
      add(layer.experts[expert], prefix + "experts." + std::to_string(expert) + ".");
    }
    if (layer.shared) add(*layer.shared, prefix + "shared.");
    for (const auto& [name, tensor] : layer.router.tensors) add_tensor(prefix + "router." + name, tensor);
    visit_rule_tensors(layer.rule, prefix,
                       [this](const auto& name, const auto& tensor) { add_optional(name, tensor); });
  }

 private:
  void add_tensor(const std::string& name, const at::Tensor& tensor) {
    if (tensor.defined()) tensors[name] = tensor.detach().to(at::kCPU).contiguous();
  }
  void add_optional(const std::string& name, const std::optional<at::Tensor>& tensor) {
    if (tensor) add_tensor(name, *tensor);
  }
  void add_update(const std::string& prefix, const std::optional<LowRankUpdate>& update) {
    if (!update) return;
    add_tensor(prefix + "a", update->a);
    add_tensor(prefix + "b", update->b);
  }
  void add(const ExpertSpec& expert, const std::string& prefix) {
    add_tensor(prefix + "neurons", expert.neurons);
    visit_optional_tensors(expert, prefix,
                           [this](const auto& name, const auto& tensor) { add_optional(name, tensor); });
    visit_updates(expert.updates, prefix, [this](const auto& name, const auto& update) { add_update(name, update); });
    if (!expert.own_weights) return;
    visit_own_weights(*expert.own_weights, prefix,
                      [this](const std::string& name, const at::Tensor& tensor) { add_tensor(name, tensor); });
  }
};

nlohmann::json describe(const LayerConversion& layer) {
  nlohmann::json json = {{"keep_dense", layer.keep_dense}};
  if (!layer.notes.is_null()) json["notes"] = layer.notes;
  if (layer.keep_dense) return json;
  json.update({{"num_experts", layer.experts.size()},
               {"router", kRouterNames.of(layer.router.kind)},
               {"softmax", kSoftmaxNames.of(layer.rule.softmax)},
               {"weights", kWeightsNames.of(layer.rule.weights)},
               {"scale", layer.rule.scale},
               {"top_k", layer.top_k},
               {"visits", kVisitsNames.of(layer.rule.visits)},
               {"level", layer.rule.level},
               {"mean_visits", layer.mean_visits},
               {"shared_top_neurons", layer.shared ? layer.shared->top_neurons : 0}});
  return json;
}

// A field of a layer's metadata. The caller names file and layer.
template <class Value>
Value metadata_field(const nlohmann::json& layer, const std::string& name) {
  if (!layer.is_object() || !layer.contains(name)) throw std::invalid_argument("metadata '" + name + "' is missing");
  const nlohmann::json& value = layer[name];
  const auto require = [&](bool holds, const char* wanted) {
    if (!holds) throw std::invalid_argument("metadata '" + name + "' must be " + wanted + ", not " + value.dump());
  };
  if constexpr (std::is_same_v<Value, bool>) {
    require(value.is_boolean(), "true or false");
  } else if constexpr (std::is_integral_v<Value>) {
    require(value.is_number_integer(), "a whole number");
  } else if constexpr (std::is_floating_point_v<Value>) {
    require(value.is_number(), "a number");
  } else {
    require(value.is_string(), "a text");
  }
  return value.get<Value>();
}

class Reader {
 public:
  explicit Reader(const std::filesystem::path& path) : file_(path) {}

  nlohmann::json metadata() const {
    const auto found = file_.metadata().find("moebench");
    if (found == file_.metadata().end()) {
      throw std::invalid_argument(
          "has no metadata 'moebench', so it is not a conversion; make one with moebench convert");
    }
    const nlohmann::json json = nlohmann::json::parse(found->second, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object()) throw std::invalid_argument("metadata 'moebench' is not a JSON object");
    if (json.value("format_version", nlohmann::json()) != kFormatVersion) {
      throw std::invalid_argument("metadata 'format_version' is not " + std::to_string(kFormatVersion) +
                                  "; another version of moebench wrote it, convert again");
    }
    if (!json.contains("layers") || !json["layers"].is_array() || json["layers"].empty()) {
      throw std::invalid_argument("metadata 'layers' is not a list of layers");
    }
    return json;
  }

  LayerConversion layer(const nlohmann::json& json, const std::string& prefix) {
    LayerConversion layer;
    layer.keep_dense = metadata_field<bool>(json, "keep_dense");
    if (json.contains("notes")) layer.notes = json["notes"];
    if (layer.keep_dense) return layer;
    // Counted by what is there: a hostile count of 2^60 ends at the first missing expert.
    const int64_t num_experts = metadata_field<int64_t>(json, "num_experts");
    for (int64_t expert = 0; expert < num_experts; ++expert) {
      layer.experts.push_back(this->expert(prefix + "experts." + std::to_string(expert) + "."));
    }
    if (has_expert(prefix + "shared.")) layer.shared = expert(prefix + "shared.");
    layer.router.kind = kRouterNames.find(metadata_field<std::string>(json, "router"));
    const std::string router_prefix = prefix + "router.";
    for (const std::string& name : file_.names()) {
      if (name.starts_with(router_prefix)) layer.router.tensors[name.substr(router_prefix.size())] = take(name);
    }
    layer.rule.softmax = kSoftmaxNames.find(metadata_field<std::string>(json, "softmax"));
    layer.rule.weights = kWeightsNames.find(metadata_field<std::string>(json, "weights"));
    layer.rule.scale = metadata_field<double>(json, "scale");
    visit_rule_tensors(layer.rule, prefix, [this](const auto& name, auto& tensor) { take_optional(name, tensor); });
    layer.top_k = metadata_field<int64_t>(json, "top_k");
    layer.rule.visits = kVisitsNames.find(metadata_field<std::string>(json, "visits"));
    layer.rule.level = metadata_field<double>(json, "level");
    layer.mean_visits = metadata_field<double>(json, "mean_visits");
    if (layer.shared) layer.shared->top_neurons = metadata_field<int64_t>(json, "shared_top_neurons");
    return layer;
  }

  void read_retrained(Conversion& conversion) {
    const std::string tensors = kModelTensors, updates = kModelUpdates;
    for (const std::string& name : file_.names()) {
      if (name.starts_with(tensors)) conversion.model_tensors[name.substr(tensors.size())] = take(name);
      const bool is_update = name.starts_with(updates) && name.ends_with(".a") && name.size() > updates.size() + 2;
      if (!is_update) continue;  // what is none belongs to no layer, and is refused as that
      const std::string weight = name.substr(updates.size(), name.size() - updates.size() - 2);
      conversion.model_updates[weight] = *update(updates + weight + ".");
    }
  }

  void require_all_taken() const {
    for (const std::string& name : file_.names()) {
      if (!taken_.contains(name)) throw std::invalid_argument("tensor '" + name + "' belongs to no layer");
    }
  }

 private:
  at::Tensor take(const std::string& name) {
    if (!file_.contains(name)) throw std::invalid_argument("tensor '" + name + "' is missing");
    taken_.insert(name);
    at::Tensor tensor = file_.view(name).clone();
    if (!all_finite(tensor)) {
      throw std::invalid_argument("tensor '" + name + "' holds a value that is not finite; convert again");
    }
    return tensor;
  }
  void take_optional(const std::string& name, std::optional<at::Tensor>& tensor) {
    if (file_.contains(name)) tensor = take(name);
  }
  std::optional<LowRankUpdate> update(const std::string& prefix) {
    if (!file_.contains(prefix + "a")) return std::nullopt;
    return LowRankUpdate{.a = take(prefix + "a"), .b = take(prefix + "b")};
  }
  bool has_expert(const std::string& prefix) const {
    return file_.contains(prefix + "neurons") || file_.contains(prefix + "own.gate_proj");
  }
  ExpertSpec expert(const std::string& prefix) {
    ExpertSpec expert;
    if (file_.contains(prefix + "own.gate_proj")) {
      expert.own_weights.emplace();
      visit_own_weights(*expert.own_weights, prefix,
                        [this](const std::string& name, at::Tensor& tensor) { tensor = take(name); });
    }
    if (!expert.own_weights || file_.contains(prefix + "neurons")) expert.neurons = take(prefix + "neurons");
    visit_optional_tensors(expert, prefix, [this](const auto& name, auto& tensor) { take_optional(name, tensor); });
    visit_updates(expert.updates, prefix, [this](const auto& name, auto& found) { found = update(name); });
    return expert;
  }

  SafetensorsFile file_;
  std::set<std::string> taken_;
};

}  // namespace

void save_conversion(const Conversion& conversion, const std::filesystem::path& path) {
  Writer writer;
  nlohmann::json json = conversion.metadata;
  json["format_version"] = kFormatVersion;
  json["layers"] = nlohmann::json::array();
  for (size_t layer = 0; layer < conversion.layers.size(); ++layer) {
    writer.add(conversion.layers[layer], layer_prefix(static_cast<int64_t>(layer)));
    json["layers"].push_back(describe(conversion.layers[layer]));
  }
  writer.add_retrained(conversion);
  write_safetensors(path, writer.tensors, {{"moebench", json.dump()}});
}

Conversion load_conversion(const std::filesystem::path& path) {
  Reader reader(path);
  std::string where;
  try {
    Conversion conversion;
    conversion.metadata = reader.metadata();
    const nlohmann::json layers = std::exchange(conversion.metadata["layers"], {});
    for (size_t index = 0; index < layers.size(); ++index) {
      where = "layer " + std::to_string(index);
      conversion.layers.push_back(reader.layer(layers[index], layer_prefix(static_cast<int64_t>(index))));
      check_layer_conversion(conversion.layers.back(), where, std::nullopt, std::nullopt);
    }
    where.clear();
    reader.read_retrained(conversion);
    check_retrained(conversion);
    reader.require_all_taken();
    conversion.metadata.erase("layers");
    conversion.metadata.erase("format_version");
    return conversion;
  } catch (const std::invalid_argument& error) {
    const std::string message = error.what();
    const bool says_where = where.empty() || message.starts_with(where);
    throw std::runtime_error(path.string() + ": " + (says_where ? "" : where + ": ") + message);
  }
}

namespace {

bool are_disjoint_parts(const std::vector<ExpertSpec>& experts) {
  std::set<int64_t> seen;
  for (const ExpertSpec& expert : experts) {
    if (expert.own_weights) return false;
    const int64_t* neurons = expert.neurons.const_data_ptr<int64_t>();
    for (int64_t index = 0; index < expert.neurons.numel(); ++index) {
      if (!seen.insert(neurons[index]).second) return false;
    }
  }
  return true;
}

}  // namespace

Conversion with_oracle_router(const Conversion& conversion) {
  Conversion oracle = conversion;
  oracle.metadata["router"] = "oracle";
  for (LayerConversion& layer : oracle.layers) {
    if (layer.experts.empty()) continue;
    layer.router = {.kind = RouterKind::kOracle};
    if (layer.rule.visits != RoutingRule::Visits::kTopK) {
      layer.top_k = std::max<int64_t>(1, std::llround(layer.mean_visits));
      layer.rule.visits = RoutingRule::Visits::kTopK;
    }
    if (layer.rule.weights != RoutingRule::Weights::kScores || layer.top_k == 0) continue;
    layer.rule.weights = RoutingRule::Weights::kUnit;
    layer.rule.scale = are_disjoint_parts(layer.experts) ? 1 : layer.rule.scale / static_cast<double>(layer.top_k);
  }
  return oracle;
}

}  // namespace moebench
