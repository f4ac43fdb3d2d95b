#include "harness/pipeline/sweep_spec.h"

#include <algorithm>
#include <set>

#include "harness/options.h"
#include "harness/pipeline/sweep_points.h"
#include "harness/pipeline/toml_table.h"

namespace moebench {
namespace {

std::string choice(TomlTable& table, const std::string& key, const std::string& fallback,
                   const std::vector<std::string>& choices) {
  const std::string value = table.text(key).value_or(fallback);
  if (std::find(choices.begin(), choices.end(), value) == choices.end()) {
    table.refuse(key, "has an " + unknown_name_message("value", value, choices));
  }
  return value;
}

// It names the database file.
std::string read_name(TomlTable& root) {
  const std::string name = root.required_text("name");
  const bool plain = std::all_of(name.begin(), name.end(), [](unsigned char letter) {
    return std::isalnum(letter) || letter == '-' || letter == '_' || letter == '.';
  });
  if (!plain || name.front() == '.') root.refuse("name", "must be letters, digits, '-', '_' and '.'");
  return name;
}

std::vector<uint64_t> read_seeds(TomlTable& table) {
  std::vector<uint64_t> seeds;
  for (const int64_t seed : table.whole_numbers("seeds")) {
    if (seed < 0) table.refuse("seeds", "must not be negative");
    seeds.push_back(static_cast<uint64_t>(seed));
  }
  if (std::set(seeds.begin(), seeds.end()).size() != seeds.size()) table.refuse("seeds", "has a seed twice");
  return seeds;
}

ModelSpec read_model(TomlTable table) {
  ModelSpec model;
  model.path = table.required_text("path");
  model.dtype = choice(table, "dtype", "float32", {"float32", "bfloat16"});
  model.device = choice(table, "device", "cpu", {"cpu", "cuda"});
  table.refuse_unknown_keys();
  return model;
}

std::vector<ModelSpec> read_models(TomlTable& root) {
  std::vector<ModelSpec> models;
  if (auto single = root.table("model")) models.push_back(read_model(*single));
  for (TomlTable& table : root.tables("models")) models.push_back(read_model(table));
  if (models.empty()) root.refuse("model", "is missing: a table [model] with path = \"…\"");
  return models;
}

// Of the sweep or of one method.
std::optional<CalibrationSpec> read_calibration(TomlTable& holder) {
  auto table = holder.table("calibration");
  if (!table) return std::nullopt;
  CalibrationSpec calibration;
  calibration.texts = table->texts("texts");
  if (calibration.texts.empty()) table->refuse("texts", "is missing: the names or paths of the calibration texts");
  calibration.windows = table->whole_number("windows", 1, kMaxCalibrationTokens).value_or(calibration.windows);
  calibration.window = table->whole_number("window", 2, kMaxCalibrationTokens).value_or(calibration.window);
  const auto num_texts = static_cast<int64_t>(calibration.texts.size());
  if (calibration.windows > kMaxCalibrationTokens / calibration.window / num_texts) {
    table->refuse("windows", "= " + std::to_string(calibration.windows) + " windows of " +
                                 std::to_string(calibration.window) + " tokens from each of " +
                                 std::to_string(num_texts) + " texts are more than " +
                                 std::to_string(kMaxCalibrationTokens) + " tokens; choose fewer or shorter windows");
  }
  table->refuse_unknown_keys();
  return calibration;
}

std::vector<int64_t> read_marks(TomlTable& table, const std::string& key) {
  const std::vector<int64_t> marks = table.whole_numbers(key);
  for (size_t mark = 0; mark < marks.size(); ++mark) {
    if (marks[mark] < 0 || marks[mark] > kMaxRetrainTokens) {
      table.refuse(key, "must lie between 0 and " + std::to_string(kMaxRetrainTokens));
    }
    if (mark > 0 && marks[mark] <= marks[mark - 1]) table.refuse(key, "must ascend, as in [0, 50000, 200000]");
  }
  return marks;
}

std::optional<RetrainSpec> read_retraining(TomlTable& root) {
  auto table = root.table("retraining");
  if (!table) return std::nullopt;
  RetrainSpec retraining;
  retraining.texts = table->texts("texts");
  if (retraining.texts.empty()) table->refuse("texts", "is missing: the names or paths of the texts to train on");
  retraining.tokens = read_marks(*table, "tokens");
  if (retraining.tokens.empty()) table->refuse("tokens", "is missing: as in [0, 50000, 200000], 0 for untrained");
  retraining.recipe = table->text("recipe").value_or(retraining.recipe);
  retraining.window = table->whole_number("window", 2, kMaxCalibrationTokens).value_or(retraining.window);
  retraining.dtype = choice(*table, "dtype", retraining.dtype, {"float32", "bfloat16"});
  retraining.settings = table->object("settings");
  retraining.dense = table->flag("dense").value_or(retraining.dense);
  table->refuse_unknown_keys();
  return retraining;
}

// The sweep's, with what the method says of its own.
std::optional<RetrainSpec> read_own_retraining(TomlTable& table, const std::optional<RetrainSpec>& of_sweep) {
  const std::vector<int64_t> marks = read_marks(table, "retrain_tokens");
  const std::optional<std::string> recipe = table.text("recipe");
  if (!of_sweep && (recipe || !marks.empty())) {
    table.refuse(recipe ? "recipe" : "retrain_tokens",
                 "needs a table [retraining] with texts = [\"…\"] and tokens = [0, 50000]");
  }
  std::optional<RetrainSpec> retraining = of_sweep;
  if (recipe) retraining->recipe = *recipe;
  if (!marks.empty()) retraining->tokens = marks;
  return retraining;
}

MethodSpec read_method(TomlTable& table, const std::optional<RetrainSpec>& retraining) {
  MethodSpec method;
  method.location = table.location();
  method.name = table.required_text("name");
  if (method.name == "dense") table.refuse("name", "is the dense parent, which every sweep measures; leave it out");
  method.active_ratios = table.numbers("active_ratios");
  for (const double ratio : method.active_ratios) {
    if (!(ratio > 0 && ratio <= 1)) table.refuse("active_ratios", "must lie above 0 and not above 1");
  }
  method.shapes = table.texts("shapes");
  if (method.active_ratios.empty() && method.shapes.empty()) {
    table.refuse("active_ratios", "is missing: as in [0.5, 0.75], or shapes = [\"S3A3E8\"]");
  }
  method.options = table.object("options");
  method.adjust = table.object("adjust");
  method.calibration = read_calibration(table);
  method.retraining = read_own_retraining(table, retraining);
  method.oracle = table.flag("oracle");
  method.seeds = read_seeds(table);
  return method;
}

void add_methods(TomlTable& table, const std::optional<RetrainSpec>& retraining, bool is_included,
                 std::vector<MethodSpec>& methods) {
  MethodSpec method = read_method(table, retraining);
  method.is_included = is_included;
  const std::vector<MethodSpec> points = points_of(table, method);
  table.refuse_unknown_keys();
  methods.insert(methods.end(), points.begin(), points.end());
}

TaskSpec read_task(TomlTable& table) {
  TaskSpec task;
  task.location = table.location();
  task.name = table.required_text("name");
  task.options = table.object("options");
  table.refuse_unknown_keys();
  return task;
}

}  // namespace

SweepSpec read_sweep_spec(const std::string& file, const std::vector<std::string>& settings) {
  const toml::table document = read_toml(file, settings);
  TomlTable root(document, "", file);
  SweepSpec spec;
  spec.name = read_name(root);
  if (const std::vector<uint64_t> seeds = read_seeds(root); !seeds.empty()) spec.seeds = seeds;
  spec.models = read_models(root);
  spec.calibration = read_calibration(root);
  spec.retraining = read_retraining(root);
  for (TomlTable& table : root.tables("methods")) add_methods(table, spec.retraining, false, spec.methods);
  for (TomlTable& table : root.tables("include")) add_methods(table, spec.retraining, true, spec.methods);
  for (TomlTable& table : root.tables("exclude")) spec.excludes.push_back(read_exclude(table));
  for (TomlTable& table : root.tables("tasks")) spec.tasks.push_back(read_task(table));
  if (spec.tasks.empty()) root.refuse("tasks", "is missing: at least one table [[tasks]] with name = \"…\"");
  spec.controls = root.flag("controls").value_or(true);
  root.refuse_unknown_keys();
  return spec;
}

}  // namespace moebench
