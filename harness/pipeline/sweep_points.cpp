#include "harness/pipeline/sweep_points.h"

#include <algorithm>

namespace moebench {
namespace {

constexpr size_t kMaxPoints = 100'000;  // of one method

// A list along which a method is varied, by the name of what it sets.
struct Axis {
  std::string name;
  nlohmann::json values;
};

void set_point(const std::string& name, const nlohmann::json& value, MethodSpec& method) {
  if (name == "active_ratios") {
    method.active_ratios = {value.get<double>()};
  } else if (name == "shapes") {
    method.shapes = {value.get<std::string>()};
  } else if (name == "seeds") {
    method.seeds = {value.get<uint64_t>()};
  } else if (name.starts_with("adjust.")) {
    method.adjust[name.substr(std::string("adjust.").size())] = value;
  } else {
    method.options[name] = value;
  }
}

// What [methods.matrix] lists, each axis by itself; those that `zip` names are one, whose lists go side by side.
std::vector<std::vector<Axis>> read_axes(TomlTable& table, const MethodSpec& method) {
  std::vector<Axis> axes;
  const nlohmann::json matrix = table.object("matrix");
  for (const auto& [name, values] : matrix.items()) {
    if (!values.is_array() || values.empty())
      table.refuse("matrix", "must list values of '" + name + "', one at least");
    if (name == "active_ratios" || name == "shapes" || name == "seeds") {
      table.refuse("matrix", "lists '" + name + "', a list of the method itself, which is multiplied anyway");
    }
    const bool is_set =
        method.options.contains(name) ||
        (name.starts_with("adjust.") && method.adjust.contains(name.substr(std::string("adjust.").size())));
    if (is_set) table.refuse("matrix", "lists '" + name + "', which is set for all points, too; leave one of them out");
    axes.push_back({name, values});
  }
  std::vector<Axis> zipped;
  for (const std::string& name : table.texts("zip")) {
    const auto found = std::find_if(axes.begin(), axes.end(), [&](const Axis& axis) { return axis.name == name; });
    if (found != axes.end()) {
      zipped.push_back(*found);
      axes.erase(found);
    } else if (name == "active_ratios" && !method.active_ratios.empty()) {
      zipped.push_back({name, method.active_ratios});
    } else if (name == "shapes" && !method.shapes.empty()) {
      zipped.push_back({name, method.shapes});
    } else if (name == "seeds" && !method.seeds.empty()) {
      zipped.push_back({name, method.seeds});
    } else {
      table.refuse("zip",
                   "names '" + name + "', which is no list of this method: its matrix, active_ratios, shapes, seeds");
    }
    if (zipped.back().values.size() == zipped.front().values.size()) continue;
    table.refuse("zip", "pairs " + std::to_string(zipped.front().values.size()) + " values of " + zipped.front().name +
                            " with " + std::to_string(zipped.back().values.size()) + " of " + name);
  }
  std::vector<std::vector<Axis>> groups;
  if (!zipped.empty()) groups.push_back(std::move(zipped));
  for (Axis& axis : axes) groups.push_back({std::move(axis)});
  return groups;
}

// A value is a list of one.
nlohmann::json as_list(const nlohmann::json& value) {
  return value.is_array() ? value : nlohmann::json::array({value});
}

}  // namespace

std::vector<MethodSpec> points_of(TomlTable& table, const MethodSpec& method) {
  std::vector<MethodSpec> points = {method};
  for (const std::vector<Axis>& group : read_axes(table, method)) {
    if (points.size() * group.front().values.size() > kMaxPoints) {
      table.refuse("matrix", "has more than " + std::to_string(kMaxPoints) + " points");
    }
    std::vector<MethodSpec> varied;
    for (const MethodSpec& point : points) {
      for (size_t index = 0; index < group.front().values.size(); ++index) {
        varied.push_back(point);
        for (const Axis& axis : group) set_point(axis.name, axis.values[index], varied.back());
      }
    }
    points = std::move(varied);
  }
  return points;
}

ExcludeSpec read_exclude(TomlTable& table) {
  ExcludeSpec exclude;
  exclude.location = table.location();
  const auto add = [&](const char* key, auto is_wanted, const char* wanted) {
    const nlohmann::json value = table.value(key);
    if (value.is_null()) return;
    const nlohmann::json values = as_list(value);
    const bool are_wanted = !values.empty() && std::all_of(values.begin(), values.end(), is_wanted);
    if (!are_wanted) table.refuse(key, std::string("must be ") + wanted + ", or a list of such");
    exclude.conditions[key] = values;
  };
  const auto is_text = [](const nlohmann::json& value) { return value.is_string(); };
  const auto is_number = [](const nlohmann::json& value) { return value.is_number(); };
  const auto is_count = [](const nlohmann::json& value) { return value.is_number_integer() && value >= 0; };
  for (const char* key : {"model", "method", "shape", "task"}) add(key, is_text, "a text in quotes");
  for (const char* key : {"seed", "retrain_tokens"}) add(key, is_count, "a whole number");
  add("active_ratio", is_number, "a number");
  if (const nlohmann::json options = table.object("options"); !options.empty()) exclude.conditions["options"] = options;
  table.refuse_unknown_keys();
  if (exclude.conditions.empty()) table.refuse("method", "is missing: without any condition everything is left out");
  return exclude;
}

bool ExcludeSpec::leaves_out(const nlohmann::json& fields) const {
  for (const auto& [field, wanted] : conditions.items()) {
    const auto found = fields.find(field);
    if (found == fields.end()) return false;
    if (field == "options") {
      for (const auto& [name, value] : wanted.items()) {
        if (found->value(name, nlohmann::json()) != value) return false;
      }
      continue;
    }
    const nlohmann::json names = as_list(*found);
    const bool holds = std::any_of(names.begin(), names.end(), [&, &wanted = wanted](const nlohmann::json& name) {
      return std::find(wanted.begin(), wanted.end(), name) != wanted.end();
    });
    if (!holds) return false;
  }
  return true;
}

}  // namespace moebench
