#include "harness/pipeline/toml_table.h"

#include <stdexcept>

#include "harness/options.h"

namespace moebench {
namespace {

// nullopt for dates and times, which no setting of ours is.
std::optional<nlohmann::json> to_json(const toml::node& node) {
  if (const auto* value = node.as_string()) return value->get();
  if (const auto* value = node.as_integer()) return value->get();
  if (const auto* value = node.as_floating_point()) return value->get();
  if (const auto* value = node.as_boolean()) return value->get();
  nlohmann::json json;
  if (const auto* array = node.as_array()) {
    json = nlohmann::json::array();
    for (const toml::node& element : *array) {
      const auto value = to_json(element);
      if (!value) return std::nullopt;
      json.push_back(*value);
    }
    return json;
  }
  const auto* table = node.as_table();
  if (table == nullptr) return std::nullopt;
  json = nlohmann::json::object();
  for (const auto& [key, element] : *table) {
    const auto value = to_json(element);
    if (!value) return std::nullopt;
    json[std::string(key.str())] = *value;
  }
  return json;
}

}  // namespace

TomlTable::TomlTable(const toml::table& table, std::string name, std::string file)
    : table_(&table), name_(std::move(name)), file_(std::move(file)) {}

std::string TomlTable::field(const std::string& key) const { return name_.empty() ? key : name_ + "." + key; }

std::string TomlTable::place(const toml::node& node) const {
  const toml::source_region& source = node.source();
  const bool by_setting = source.path && source.path->starts_with("--set ");
  if (by_setting) return *source.path;
  const std::string& file = source.path ? *source.path : file_;  // an included one has its own
  return source.begin.line == 0 ? file : file + ":" + std::to_string(source.begin.line);
}

std::string TomlTable::location() const { return place(*table_); }

void TomlTable::refuse(const std::string& key, const std::string& why) const {
  const toml::node* node = table_->get(key);
  if (node == nullptr) {
    for (const auto& [other, value] : *table_) {  // it may be there, misspelt
      if (!is_known(other) && !nearest_name(std::string(other.str()), known_).empty()) refuse_unknown(other, value);
    }
  }
  throw std::invalid_argument(place(node == nullptr ? *table_ : *node) + ": " + field(key) + " " + why);
}

const toml::node* TomlTable::find(const std::string& key) {
  known_.push_back(key);
  return table_->get(key);
}

std::optional<std::string> TomlTable::text(const std::string& key) {
  const toml::node* node = find(key);
  if (node == nullptr) return std::nullopt;
  if (!node->is_string() || node->as_string()->get().empty()) refuse(key, "must be a text in quotes");
  return node->as_string()->get();
}

std::string TomlTable::required_text(const std::string& key) {
  auto value = text(key);
  if (!value) refuse(key, "is missing");
  return *value;
}

std::optional<int64_t> TomlTable::whole_number(const std::string& key, int64_t minimum, int64_t maximum) {
  const toml::node* node = find(key);
  if (node == nullptr) return std::nullopt;
  const auto* value = node->as_integer();
  if (value == nullptr || value->get() < minimum || value->get() > maximum) {
    refuse(key, "must be a whole number from " + std::to_string(minimum) + " to " + std::to_string(maximum));
  }
  return value->get();
}

std::optional<bool> TomlTable::flag(const std::string& key) {
  const toml::node* node = find(key);
  if (node == nullptr) return std::nullopt;
  if (!node->is_boolean()) refuse(key, "must be true or false");
  return node->as_boolean()->get();
}

template <class Value>
std::vector<Value> TomlTable::list(const std::string& key, const char* wanted) {
  const toml::node* node = find(key);
  if (node == nullptr) return {};
  if (!node->is_array() || node->as_array()->empty()) refuse(key, wanted);
  std::vector<Value> values;
  for (const toml::node& element : *node->as_array()) {
    // Reads a whole number as a number, never the reverse, and no text as either.
    const auto value = element.value<Value>();
    if (!value || element.is_boolean()) refuse(key, wanted);
    values.push_back(*value);
  }
  return values;
}

std::vector<std::string> TomlTable::texts(const std::string& key) {
  return list<std::string>(key, "must be a list of texts in quotes");
}

std::vector<double> TomlTable::numbers(const std::string& key) {
  return list<double>(key, "must be a list of numbers");
}

std::vector<int64_t> TomlTable::whole_numbers(const std::string& key) {
  return list<int64_t>(key, "must be a list of whole numbers");
}

nlohmann::json TomlTable::object(const std::string& key) {
  const toml::node* node = find(key);
  if (node == nullptr) return nlohmann::json::object();
  if (!node->is_table()) refuse(key, "must be a table, as in { key = value }");
  const auto json = to_json(*node);
  if (!json) refuse(key, "holds a date or time, which no option is");
  return *json;
}

nlohmann::json TomlTable::value(const std::string& key) {
  const toml::node* node = find(key);
  if (node == nullptr) return nullptr;
  const auto json = to_json(*node);
  if (!json) refuse(key, "holds a date or time, which no option is");
  return *json;
}

std::optional<TomlTable> TomlTable::table(const std::string& key) {
  const toml::node* node = find(key);
  if (node == nullptr) return std::nullopt;
  if (!node->is_table()) refuse(key, "must be a table, [" + field(key) + "]");
  return TomlTable(*node->as_table(), field(key), file_);
}

std::vector<TomlTable> TomlTable::tables(const std::string& key) {
  const toml::node* node = find(key);
  if (node == nullptr) return {};
  const std::string why = "must be a list of tables, [[" + field(key) + "]]";
  if (!node->is_array()) refuse(key, why);
  std::vector<TomlTable> result;
  for (const toml::node& element : *node->as_array()) {
    if (!element.is_table()) refuse(key, why);
    result.emplace_back(*element.as_table(), field(key) + "[" + std::to_string(result.size()) + "]", file_);
  }
  return result;
}

bool TomlTable::is_known(const toml::key& key) const {
  return std::find(known_.begin(), known_.end(), key.str()) != known_.end();
}

void TomlTable::refuse_unknown_keys() const {
  for (const auto& [key, node] : *table_) {
    if (!is_known(key)) refuse_unknown(key, node);
  }
}

void TomlTable::refuse_unknown(const toml::key& key, const toml::node& node) const {
  const toml::source_region& source = key.source();
  const bool by_setting = node.source().path && node.source().path->starts_with("--set ");
  const bool has_place = !by_setting && source.path && source.begin.line > 0;
  const std::string where = has_place ? *source.path + ":" + std::to_string(source.begin.line) : place(node);
  std::vector<std::string> fields;
  for (const std::string& known : known_) fields.push_back(field(known));
  throw std::invalid_argument(where + ": " + unknown_name_message("key", field(std::string(key.str())), fields));
}

}  // namespace moebench
