// read_toml: the file, then each --set.
#include <filesystem>
#include <fstream>
#include <span>
#include <sstream>
#include <stdexcept>

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
    toml::table parsed = parse_value(setting);
    table->insert_or_assign(part, std::move(*parsed.get("value")));
    return;
  }
  if (table->get(part) == nullptr) table->insert(part, toml::table{});
  apply(*table->get(part), setting, path.subspan(1));
}

// A pipe would wait for a writer, and a device may have no end.
std::string read_small_file(const std::string& file) {
  constexpr size_t kMaxBytes = size_t{1} << 20;
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(file, error);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    throw std::runtime_error(file + ": is not a regular file; give a sweep file, as sweeps/quickstart.toml");
  }
  std::ifstream stream(file, std::ios::binary);
  std::string content(kMaxBytes + 1, '\0');
  stream.read(content.data(), static_cast<std::streamsize>(content.size()));
  if (!stream.is_open() || stream.bad()) throw std::runtime_error(file + ": cannot be read; is the path right?");
  content.resize(static_cast<size_t>(stream.gcount()));
  if (content.size() > kMaxBytes) throw std::runtime_error(file + ": is larger than 1 MiB; is it a sweep file?");
  return content;
}

}  // namespace

toml::table read_toml(const std::string& file, const std::vector<std::string>& settings) {
  const std::string content = read_small_file(file);
  toml::table root;
  try {
    root = toml::parse(content, file);
  } catch (const toml::parse_error& error) {
    throw std::invalid_argument(file + ":" + std::to_string(error.source().begin.line) +
                                ": is not TOML: " + std::string(error.description()));
  }
  for (const std::string& argument : settings) {
    const Setting setting = parse_setting(argument);
    apply(root, setting, setting.path);
  }
  return root;
}

}  // namespace moebench
