// read_toml: the file, then each --set.
#include <algorithm>
#include <span>
#include <sstream>
#include <stdexcept>

#include "harness/options.h"
#include "harness/pipeline/toml_table.h"

namespace moebench {
namespace {

struct Setting {
  std::string text;  // "--set a.b=v", for messages
  std::vector<std::string> path;
  std::string value;
};

Setting parse_setting(const std::string& argument) {
  Setting setting = {"--set " + argument, {}, {}};
  const size_t equals = argument.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw std::invalid_argument(setting.text + ": must be key=value, as in calibration.windows=4");
  }
  std::istringstream path(argument.substr(0, equals));
  for (std::string part; std::getline(path, part, '.');) {
    if (part.empty()) throw std::invalid_argument(setting.text + ": has an empty part in its key");
    setting.path.push_back(part);
  }
  setting.value = argument.substr(equals + 1);
  return setting;
}

// A node that remembers, as its source, which --set it came from.
toml::table parse_value(const Setting& setting) {
  try {
    return toml::parse("value = " + setting.value, setting.text);
  } catch (const toml::parse_error&) {
    // JSON's escapes are TOML's.
    return toml::parse("value = " + nlohmann::json(setting.value).dump(), setting.text);
  }
}

std::vector<std::string> split_at_commas(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) parts.push_back(part);
  return parts;
}

// "0.5,0.75", "cmoe,dive": what stands where a list was.
toml::table parse_list(const Setting& setting) {
  try {
    return toml::parse("value = [" + setting.value + "]", setting.text);
  } catch (const toml::parse_error&) {
    return toml::parse("value = " + nlohmann::json(split_at_commas(setting.value)).dump(), setting.text);
  }
}

[[noreturn]] void refuse_part(const Setting& setting, const std::string& part) {
  throw std::invalid_argument(setting.text + ": '" + part +
                              "' has no place; it is neither a key, nor an element's index or name");
}

// The elements of an array that a part of a path means.
std::vector<toml::node*> matching_elements(toml::array& array, const std::string& part) {
  std::vector<toml::node*> matches;
  for (size_t index = 0; index < array.size(); ++index) {
    const auto* table = array[index].as_table();
    const bool named = table != nullptr && (*table)["name"].value_or(std::string()) == part;
    if (named || std::to_string(index) == part) matches.push_back(&array[index]);
  }
  return matches;
}

void apply(toml::node& node, const Setting& setting, std::span<const std::string> path) {
  const std::string& part = path.front();
  if (auto* array = node.as_array()) {
    const auto matches = matching_elements(*array, part);
    if (matches.empty() || path.size() == 1) refuse_part(setting, part);
    for (toml::node* match : matches) apply(*match, setting, path.subspan(1));
    return;
  }
  auto* table = node.as_table();
  if (table == nullptr) refuse_part(setting, part);
  if (path.size() == 1) {
    const bool was_list = table->get(part) != nullptr && table->get(part)->is_array();
    toml::table parsed = parse_value(setting);
    if (was_list && !parsed.get("value")->is_array()) parsed = parse_list(setting);
    table->insert_or_assign(part, std::move(*parsed.get("value")));
    return;
  }
  if (table->get(part) == nullptr) table->insert(part, toml::table{});
  apply(*table->get(part), setting, path.subspan(1));
}

std::string name_of(const toml::node& element) {
  const auto* table = element.as_table();
  return table == nullptr ? "" : (*table)["name"].value_or(std::string());
}

// Leaves of the tables [[key]] those that the setting names.
void choose_named(toml::table& root, const Setting& setting, const std::string& key) {
  toml::array* tables = root.get_as<toml::array>(key);
  std::vector<std::string> known;
  for (size_t index = 0; tables != nullptr && index < tables->size(); ++index)
    known.push_back(name_of((*tables)[index]));
  const std::vector<std::string> chosen = split_at_commas(setting.value);
  for (const std::string& name : chosen) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    throw std::invalid_argument(setting.text + ": " + unknown_name_message(setting.path.front(), name, known));
  }
  for (size_t index = known.size(); index-- > 0;) {
    const bool is_chosen = std::find(chosen.begin(), chosen.end(), known[index]) != chosen.end();
    if (!is_chosen) tables->erase(tables->begin() + static_cast<ptrdiff_t>(index));
  }
}

}  // namespace

toml::table read_toml(const std::string& file, const std::vector<std::string>& settings) {
  toml::table root = read_toml_file(file);
  for (const std::string& argument : settings) {
    const Setting setting = parse_setting(argument);
    if (setting.path == std::vector<std::string>{"method"}) {
      choose_named(root, setting, "methods");
    } else if (setting.path == std::vector<std::string>{"task"}) {
      choose_named(root, setting, "tasks");
    } else {
      apply(root, setting, setting.path);
    }
  }
  return root;
}

}  // namespace moebench
