// Fields of a JSON object that somebody else wrote: a missing field or a wrong type is said by name.
#pragma once

#include <stdexcept>
#include <string>

#include <nlohmann/json.hpp>

namespace moebench {

// The field of an object, or null if the object lacks it. where: "pre_tokenizer", for the message.
inline const nlohmann::json& json_field(const nlohmann::json& object, const std::string& name,
                                        const std::string& where) {
  static const nlohmann::json kNull;
  if (!object.is_object()) throw std::runtime_error(where + ": must be an object, not " + object.type_name());
  const auto found = object.find(name);
  return found == object.end() ? kNull : *found;
}

// Throws std::runtime_error naming the field if it is missing or of another type.
inline std::string string_field(const nlohmann::json& object, const std::string& name, const std::string& where) {
  const nlohmann::json& value = json_field(object, name, where);
  if (!value.is_string()) throw std::runtime_error(where + ": '" + name + "' must be a string");
  return value.get<std::string>();
}

// A missing or null field is the default.
inline bool bool_field(const nlohmann::json& object, const std::string& name, bool default_value,
                       const std::string& where) {
  const nlohmann::json& value = json_field(object, name, where);
  if (value.is_null()) return default_value;
  if (!value.is_boolean()) throw std::runtime_error(where + ": '" + name + "' must be true or false");
  return value.get<bool>();
}

}  // namespace moebench
