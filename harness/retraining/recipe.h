// Retraining recipes by name, and their fields by name.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "harness/converter.h"
#include "harness/options.h"
#include "harness/retrain_stage.h"

namespace moebench {

// "common": low-rank updates of all experts, routers and norms in full, for comparing methods at one budget.
// "common_warm_up": before it a tenth of the budget for the routers alone, by dense mixing, which is what gives a top-1
// router a gradient. "published": the converter's own. Throws std::invalid_argument for another name, or where the
// method has no published recipe.
RetrainRecipe named_recipe(const std::string& name, const Converter& converter);

// Of a conversion that is there: metadata says method and options. Throws std::invalid_argument as named_recipe does,
// or if "published" is wanted of a conversion that does not say what made it.
RetrainRecipe recipe_for(const std::string& name, const nlohmann::json& conversion_metadata);

// settings: {"learning_rate": 1e-3} is for all stages, {"router.learning_rate": 1e-3} for the one of that name; fields
// are called as in RetrainStage. Throws std::invalid_argument for an unknown field or stage or a value of another type.
void change_recipe(RetrainRecipe& recipe, const nlohmann::json& settings);

// A list of stages with all their fields: what a content key is made of.
nlohmann::json recipe_to_json(const RetrainRecipe& recipe);

// Of a stage, the fields that differ from common's.
nlohmann::json changed_fields(const RetrainStage& stage);

// The fields of a stage, with the values that common has.
std::vector<OptionDescription> describe_recipe_fields();

// Throws std::invalid_argument naming stage and field: a rank below 1, a learning rate of 0, a share, rate or step that
// is negative or not finite, shares that do not add up to 1, no stage at all.
void check_recipe(const RetrainRecipe& recipe);

}  // namespace moebench
