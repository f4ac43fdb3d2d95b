// A TOML table whose every key has a place: wrong types and unknown keys are refused, naming file, line and field.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <toml++/toml.h>
#include <nlohmann/json.hpp>

namespace moebench {

// Every getter throws std::invalid_argument for a value of another type. A key that no getter asked for is unknown.
class TomlTable {
 public:
  // name: what the table is called in messages ("calibration", "methods[1]", "" for the file's root). table must
  // outlive this.
  TomlTable(const toml::table& table, std::string name, std::string file);

  std::optional<std::string> text(const std::string& key);
  std::optional<int64_t> whole_number(const std::string& key, int64_t minimum, int64_t maximum);
  std::optional<bool> flag(const std::string& key);
  std::vector<std::string> texts(const std::string& key);  // none if the key is missing
  std::vector<double> numbers(const std::string& key);
  std::vector<int64_t> whole_numbers(const std::string& key);
  nlohmann::json object(const std::string& key);  // {} if the key is missing
  // Whatever it is; null if the key is missing.
  nlohmann::json value(const std::string& key);
  std::optional<TomlTable> table(const std::string& key);
  std::vector<TomlTable> tables(const std::string& key);  // [[key]]

  std::string required_text(const std::string& key);

  // Throws std::invalid_argument with "did you mean". Call it after the last getter.
  void refuse_unknown_keys() const;

  [[noreturn]] void refuse(const std::string& key, const std::string& why) const;
  std::string location() const;  // "quickstart.toml:9", or the --set that put it there

 private:
  const toml::node* find(const std::string& key);
  template <class Value>
  std::vector<Value> list(const std::string& key, const char* wanted);
  std::string field(const std::string& key) const;
  bool is_known(const toml::key& key) const;
  [[noreturn]] void refuse_unknown(const toml::key& key, const toml::node& node) const;
  std::string place(const toml::node& node) const;

  const toml::table* table_;
  std::string name_, file_;
  std::vector<std::string> known_;
};

// The file's root, over those of the files that `include = ["base.toml"]` names: their values where it has none of its
// own, their lists of tables before its. Throws std::runtime_error if a file cannot be read, std::invalid_argument if
// it is not TOML or includes itself.
toml::table read_toml_file(const std::string& file);

// The same with `--set a.b=v` applied in order. A part of the path is a key, the index of an array's element, or the
// "name" of such elements. v is a TOML value; what is none is a text; in place of a list, v is one: 0.5,0.75.
// `--set method=cmoe,dive` leaves no other [[methods]], `--set task=…` no other [[tasks]]. Throws
// std::invalid_argument if a setting has no place.
toml::table read_toml(const std::string& file, const std::vector<std::string>& settings);

}  // namespace moebench
