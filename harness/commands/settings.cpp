#include "harness/commands/settings.h"

#include <algorithm>
#include <stdexcept>

#include "harness/options.h"

namespace moebench {
namespace {

struct Setting {
  std::string name;
  nlohmann::json value;
};

Setting split(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw std::invalid_argument("--set " + text + ": not name=value");
  }
  const std::string value = text.substr(equals + 1);
  nlohmann::json parsed = nlohmann::json::parse(value, nullptr, /*allow_exceptions=*/false);
  return {text.substr(0, equals), parsed.is_discarded() ? nlohmann::json(value) : parsed};
}

void insert(nlohmann::json& object, const std::string& name, nlohmann::json value) {
  if (object.contains(name)) throw std::invalid_argument("--set " + name + ": given twice");
  object[name] = std::move(value);
}

}  // namespace

nlohmann::json parse_settings(const std::vector<std::string>& settings) {
  nlohmann::json result = nlohmann::json::object();
  for (const std::string& text : settings) {
    Setting setting = split(text);
    insert(result, setting.name, std::move(setting.value));
  }
  return result;
}

nlohmann::json parse_grouped_settings(const std::vector<std::string>& settings, const std::string& kind,
                                      const std::vector<std::string>& groups) {
  nlohmann::json result = nlohmann::json::object();
  for (const std::string& group : groups) result[group] = nlohmann::json::object();
  for (const std::string& text : settings) {
    Setting setting = split(text);
    const size_t dot = setting.name.find('.');
    if (dot == std::string::npos) throw std::invalid_argument("--set " + text + ": not " + kind + ".option=value");
    const std::string group = setting.name.substr(0, dot);
    if (std::find(groups.begin(), groups.end(), group) == groups.end()) {
      throw std::invalid_argument("--set " + text + ": " + unknown_name_message(kind, group, groups));
    }
    insert(result[group], setting.name.substr(dot + 1), std::move(setting.value));
  }
  return result;
}

}  // namespace moebench
