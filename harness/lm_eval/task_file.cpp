#include "harness/lm_eval/task_file.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <stdexcept>
#include <string_view>

#include <yaml-cpp/yaml.h>

#include "harness/lm_eval/builtin_task_files.h"
#include "harness/lm_eval/python_string.h"
#include "harness/text/text_file.h"

namespace moebench {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr size_t kMaxFileBytes = size_t{1} << 20;
constexpr int64_t kMaxNodes = 100'000;  // aliases can make a short file endless
constexpr int kMaxDepth = 50;

[[noreturn]] void fail(const std::string& file, const YAML::Mark& mark, const std::string& what) {
  throw std::runtime_error(file + ": line " + std::to_string(mark.line + 1) + ": " + what);
}

class YamlReader {
 public:
  explicit YamlReader(std::string file) : file_(std::move(file)) {}

  Json read(const YAML::Node& node, int depth = 0) {
    if (++num_nodes_ > kMaxNodes || depth > kMaxDepth) fail(file_, node.Mark(), "too many or too deeply nested values");
    if (node.IsScalar()) return scalar(node);
    if (node.IsSequence()) {
      Json list = Json::array();
      for (const YAML::Node& item : node) list.push_back(read(item, depth + 1));
      return list;
    }
    if (!node.IsMap()) return nullptr;
    Json map = Json::object();
    for (const auto& pair : node) {
      const YAML::Node& key = pair.first;
      if (!key.IsScalar()) fail(file_, key.Mark(), "a key must be a word");
      if (map.contains(key.Scalar())) fail(file_, key.Mark(), "'" + key.Scalar() + "' stands twice");
      map[key.Scalar()] = read(pair.second, depth + 1);
    }
    return map;
  }

 private:
  Json scalar(const YAML::Node& node) const {
    const std::string &tag = node.Tag(), &text = node.Scalar();
    if (tag == "!function") return {{"!function", text}};
    if (tag == "!") return text;  // quoted
    if (tag != "?" && !tag.empty()) fail(file_, node.Mark(), "tag '" + tag + "' is not supported");
    return plain(node, text);
  }

  // YAML 1.1's implicit types.
  Json plain(const YAML::Node& node, const std::string& text) const {
    const auto is_one_of = [&](std::initializer_list<std::string_view> words) {
      return std::find(words.begin(), words.end(), text) != words.end();
    };
    if (is_one_of({"", "~", "null", "Null", "NULL"})) return nullptr;
    if (is_one_of({"yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"})) return true;
    if (is_one_of({"no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"})) return false;
    const std::string_view digits = std::string_view(text).substr(text[0] == '+' || text[0] == '-');
    if (is_digits(digits)) return integer(node, text, digits);
    const size_t point = digits.find('.');
    const bool is_float = point != std::string_view::npos && digits.size() > 1 &&
                          digits.find_first_not_of("0123456789.eE+-") == std::string_view::npos &&
                          digits.find('.', point + 1) == std::string_view::npos;
    if (!is_float) return text;
    double value = 0;
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (parsed.ec != std::errc() || parsed.ptr != digits.data() + digits.size()) return text;
    return text[0] == '-' ? -value : value;
  }

  Json integer(const YAML::Node& node, const std::string& text, std::string_view digits) const {
    int64_t value = 0;
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (parsed.ec != std::errc() || (digits.size() > 1 && digits[0] == '0')) {
      fail(file_, node.Mark(), "the number " + text + " is not supported; if it is a text, put it in quotes");
    }
    return text[0] == '-' ? -value : value;
  }

  std::string file_;
  int64_t num_nodes_ = 0;
};

Json parse_yaml(const std::string& file, const std::string& text) {
  try {
    const YAML::Node root = YAML::Load(text);
    if (!root.IsMap()) throw std::runtime_error(file + ": must be a mapping of keys to values");
    return YamlReader(file).read(root);
  } catch (const YAML::Exception& error) {
    fail(file, error.mark, error.msg);
  }
}

// Where a file stands: in a folder, or (folder empty) among the built-in ones.
struct Place {
  fs::path folder;
  std::string name;

  bool is_builtin() const { return folder.empty(); }
  std::string label() const { return is_builtin() ? "built-in " + name : (folder / name).string(); }
};

std::string text_at(const Place& place) {
  if (!place.is_builtin()) return read_text_file(place.folder / place.name, kMaxFileBytes);
  const auto found = builtin_task_files().find(place.name);
  if (found == builtin_task_files().end()) throw std::runtime_error("no built-in task file '" + place.name + "'");
  return std::string(found->second);
}

Place find_include(const Place& from, const std::string& name) {
  if (!from.is_builtin()) {
    const fs::path path = from.folder / name;
    std::error_code ignored;
    if (fs::exists(path, ignored)) return {fs::path(path).remove_filename(), path.filename().string()};
  }
  if (builtin_task_files().contains(name)) return {{}, name};
  throw std::runtime_error(from.label() + ": includes '" + name + "', which is neither there nor built in");
}

std::vector<std::string> included_names(const Place& place, const Json& include) {
  std::vector<std::string> names;
  for (const Json& name : include.is_array() ? include : Json::array({include})) {
    if (!name.is_string()) throw std::runtime_error(place.label() + ": 'include' must name files");
    names.push_back(name.get<std::string>());
  }
  return names;
}

Json read(const Place& place, std::set<std::string>& seen) {
  if (!seen.insert(place.label()).second) throw std::runtime_error(place.label() + ": is included twice or by itself");
  Json own = parse_yaml(place.label(), text_at(place));
  if (!own.contains("include")) return own;
  Json merged = Json::object();
  for (const std::string& name : included_names(place, own["include"])) {
    Json included = read(find_include(place, name), seen);
    included.erase("task_list");  // the included file's own tasks
    merged.update(included);
  }
  own.erase("include");
  merged.update(own);
  return merged;
}

}  // namespace

Json read_task_file(const fs::path& path) {
  std::set<std::string> seen;
  const fs::path absolute = fs::absolute(path);
  return read({absolute.parent_path(), absolute.filename().string()}, seen);
}

Json read_builtin_task_file(const std::string& name) {
  std::set<std::string> seen;
  return read({{}, name}, seen);
}

}  // namespace moebench
