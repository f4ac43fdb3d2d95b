#include "harness/retraining/recipe.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

#include "harness/options.h"

namespace moebench {
namespace {

template <class Enum>
using EnumNames = std::vector<std::pair<Enum, std::string>>;

const EnumNames<Training>& names_of(Training) {
  static const EnumNames<Training> names = {
      {Training::kFrozen, "frozen"}, {Training::kLowRank, "low_rank"}, {Training::kFull, "full"}};
  return names;
}
const EnumNames<RetrainStage::Schedule>& names_of(RetrainStage::Schedule) {
  static const EnumNames<RetrainStage::Schedule> names = {{RetrainStage::Schedule::kConstant, "constant"},
                                                          {RetrainStage::Schedule::kCosine, "cosine"}};
  return names;
}
const EnumNames<RetrainStage::Noise>& names_of(RetrainStage::Noise) {
  static const EnumNames<RetrainStage::Noise> names = {{RetrainStage::Noise::kNone, "none"},
                                                       {RetrainStage::Noise::kDive, "dive"},
                                                       {RetrainStage::Noise::kLlamaMoe, "llama_moe"}};
  return names;
}

// Every field but the name, and what it means.
template <class Stage, class Visit>
void visit_fields(Stage& stage, const Visit& visit) {
  visit("token_share", stage.token_share, "of the token budget; the stages' add up to 1");
  visit("experts", stage.experts, "gate, up and down projection of each, shared ones too: frozen, low_rank or full");
  visit("attention", stage.attention, "q, k, v and o projection: frozen, low_rank or full");
  visit("router", stage.router, "is trained");
  visit("norms", stage.norms, "are trained");
  visit("embeddings", stage.embeddings, "are trained, and the head");
  visit("expert_scale", stage.expert_scale, "of CMoE is trained");
  visit("rank", stage.rank, "of low-rank updates");
  visit("alpha", stage.alpha, "low-rank updates count alpha / rank times");
  visit("dropout", stage.dropout, "on the input of low-rank updates");
  visit("learning_rate", stage.learning_rate, "of AdamW, at its highest");
  visit("expert_scale_learning_rate", stage.expert_scale_learning_rate, "of expert_scale");
  visit("schedule", stage.schedule, "constant or cosine");
  visit("warm_up_share", stage.warm_up_share, "of the stage's steps, in which the rate rises");
  visit("floor_share", stage.floor_share, "of the learning rate, where a cosine ends");
  visit("beta1", stage.beta1, "of AdamW");
  visit("beta2", stage.beta2, "of AdamW");
  visit("epsilon", stage.epsilon, "of AdamW");
  visit("weight_decay", stage.weight_decay, "of AdamW");
  visit("clip_norm", stage.clip_norm, "longest gradient; 0: any");
  visit("tokens_a_step", stage.tokens_a_step, "whose gradients are added up");
  visit("visit_all", stage.visit_all, "dense mixing: all experts, weighted by softmax(logits / temperature)");
  visit("temperature", stage.temperature, "of dense mixing");
  visit("noise", stage.noise, "added to router logits: none, dive or llama_moe");
  visit("importance_and_load", stage.importance_and_load, "times LLaMA-MoE's balance loss");
  visit("published_load_estimator", stage.published_load_estimator,
        "of that loss: noise compared with the threshold, as in the released code");
  visit("switch_balance", stage.switch_balance, "times the Switch balance loss");
  visit("selection_bias_step", stage.selection_bias_step, "of CMoE's selection biases, after each step");
}

template <class Value>
Value parse_field(const std::string& field, const nlohmann::json& json) {
  if constexpr (std::is_enum_v<Value>) {
    const std::string text = detail::option_value<std::string>("recipe", field, json);
    std::vector<std::string> known;
    for (const auto& [value, name] : names_of(Value())) {
      if (text == name) return value;
      known.push_back(name);
    }
    throw std::invalid_argument("recipe: " + unknown_name_message("value of '" + field + "':", text, known));
  } else {
    return detail::option_value<Value>("recipe", field, json);
  }
}

template <class Value>
nlohmann::json field_json(const Value& value) {
  if constexpr (std::is_enum_v<Value>) {
    const EnumNames<Value>& names = names_of(value);
    return std::find_if(names.begin(), names.end(), [&](const auto& name) { return name.first == value; })->second;
  } else {
    return value;
  }
}

void set_field(RetrainStage& stage, const std::string& name, const nlohmann::json& value) {
  bool is_known = false;
  std::vector<std::string> known;
  visit_fields(stage, [&]<class Value>(const char* field, Value& current, const char*) {
    known.push_back(field);
    if (name != field) return;
    is_known = true;
    current = parse_field<Value>(name, value);
  });
  if (!is_known) throw std::invalid_argument("recipe: " + unknown_name_message("field", name, known));
}

RetrainRecipe common_recipe() { return {{.name = "experts", .norms = true}}; }

RetrainRecipe common_recipe_with_warm_up() {
  constexpr double kWarmUpShare = 0.1;  // DIVE's 0.5 of 5.5 billion tokens
  RetrainRecipe recipe = common_recipe();
  recipe.front().token_share = 1 - kWarmUpShare;
  recipe.insert(recipe.begin(), {.name = "router",
                                 .token_share = kWarmUpShare,
                                 .experts = Training::kFrozen,
                                 .schedule = RetrainStage::Schedule::kConstant,
                                 .visit_all = true});
  return recipe;
}

RetrainRecipe published_recipe(const Converter& converter) {
  RetrainRecipe recipe = converter.retrain_recipe();
  if (recipe.empty()) {
    throw std::invalid_argument("recipe 'published': this method has none; use common");
  }
  return recipe;
}

}  // namespace

RetrainRecipe named_recipe(const std::string& name, const Converter& converter) {
  if (name == "common") return common_recipe();
  if (name == "common_warm_up") return common_recipe_with_warm_up();
  if (name == "published") return published_recipe(converter);
  throw std::invalid_argument(unknown_name_message("recipe", name, {"common", "common_warm_up", "published"}));
}

RetrainRecipe recipe_for(const std::string& name, const nlohmann::json& conversion_metadata) {
  if (name == "common") return common_recipe();
  if (name == "common_warm_up") return common_recipe_with_warm_up();
  if (!conversion_metadata.contains("method")) {
    throw std::invalid_argument("recipe '" + name + "': the conversion does not say which method made it; use common");
  }
  const auto method = conversion_metadata["method"].get<std::string>();
  const nlohmann::json options = conversion_metadata.value("options", nlohmann::json::object());
  return named_recipe(name, *ConverterRegistry::instance().find(method).create(options));
}

void change_recipe(RetrainRecipe& recipe, const nlohmann::json& settings) {
  for (const auto& [key, value] : settings.items()) {
    const size_t dot = key.find('.');
    const std::string stage_name = dot == std::string::npos ? "" : key.substr(0, dot);
    const std::string field = dot == std::string::npos ? key : key.substr(dot + 1);
    bool is_known = false;
    std::vector<std::string> known;
    for (RetrainStage& stage : recipe) {
      known.push_back(stage.name);
      if (!stage_name.empty() && stage.name != stage_name) continue;
      is_known = true;
      set_field(stage, field, value);
    }
    if (!is_known) throw std::invalid_argument("recipe: " + unknown_name_message("stage", stage_name, known));
  }
}

nlohmann::json recipe_to_json(const RetrainRecipe& recipe) {
  nlohmann::json json = nlohmann::json::array();
  for (const RetrainStage& stage : recipe) {
    nlohmann::json fields = {{"name", stage.name}};
    visit_fields(stage, [&](const char* field, const auto& value, const char*) { fields[field] = field_json(value); });
    json.push_back(fields);
  }
  return json;
}

nlohmann::json changed_fields(const RetrainStage& stage) {
  nlohmann::json fields = recipe_to_json({stage})[0];
  const nlohmann::json of_common = recipe_to_json(common_recipe())[0];
  for (const auto& [field, value] : of_common.items()) {
    if (field == "name" || fields[field] == value) fields.erase(field);
  }
  return fields;
}

std::vector<OptionDescription> describe_recipe_fields() {
  std::vector<OptionDescription> described;
  const RetrainRecipe common = common_recipe();
  visit_fields(common.front(), [&](const char* field, const auto& value, const char* help) {
    described.push_back({field, field_json(value).dump(), help, {}});
  });
  return described;
}

void check_recipe(const RetrainRecipe& recipe) {
  if (recipe.empty()) throw std::invalid_argument("recipe: has no stage, so it trains nothing");
  double share = 0;
  for (const RetrainStage& stage : recipe) {
    const auto require = [&](bool holds, const std::string& field, const std::string& wanted) {
      if (!holds) throw std::invalid_argument("recipe: stage '" + stage.name + "': " + field + " must be " + wanted);
    };
    visit_fields(stage, [&]<class Value>(const std::string& field, const Value& value, const char*) {
      if constexpr (std::is_same_v<Value, double>) require(std::isfinite(value) && value >= 0, field, "0 or more");
    });
    require(stage.token_share > 0, "token_share", "above 0");
    require(stage.learning_rate > 0, "learning_rate", "above 0, or it trains nothing");
    require(stage.rank >= 1, "rank", "at least 1");
    require(stage.tokens_a_step >= 1, "tokens_a_step", "at least 1");
    require(stage.temperature > 0, "temperature", "above 0");
    require(stage.dropout < 1, "dropout", "below 1");
    require(stage.beta1 < 1, "beta1", "below 1");
    require(stage.beta2 < 1, "beta2", "below 1");
    require(stage.epsilon > 0, "epsilon", "above 0");
    share += stage.token_share;
  }
  if (std::abs(share - 1) > 1e-6) {
    throw std::invalid_argument("recipe: the stages' token_share add up to " + std::to_string(share) + ", not to 1");
  }
}

}  // namespace moebench
