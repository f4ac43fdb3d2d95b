// Typed options of methods and tasks: a struct lists its fields once, in for_each; parsing, help and the
// canonical JSON of content keys are three visitors over that list.
//
//   struct CmoeOptions {
//     int64_t top_activations = 10;
//     std::string score = "code";
//     void for_each(auto&& visit) {
//       visit("top_activations", top_activations, "marked neurons a token (K_a of the paper)");
//       visit("score", score, "code (normalised) or paper", {"code", "paper"});
//     }
//   };
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include <nlohmann/json.hpp>

namespace moebench {

struct OptionDescription {
  std::string name;
  std::string default_value;  // as JSON
  std::string help;
  std::vector<std::string> choices;
};

// For a struct with no options.
struct NoOptions {
  void for_each(auto&&) {}
};

// Of known, what a misspelt name, or the beginning of one, was most probably meant to be; "" if nothing is like it.
std::string nearest_name(const std::string& name, const std::vector<std::string>& known);

// "unknown option 'scroe' of cmoe; did you mean 'score'? known: ..."
std::string unknown_name_message(const std::string& kind, const std::string& name,
                                 const std::vector<std::string>& known);

namespace detail {

template <class Value>
Value option_value(const std::string& owner, const std::string& name, const nlohmann::json& json) {
  const auto refuse = [&](const char* wanted) {
    return std::invalid_argument(owner + ": option '" + name + "' wants " + wanted + ", not " + json.dump());
  };
  if constexpr (std::is_same_v<Value, bool>) {
    if (!json.is_boolean()) throw refuse("true or false");
  } else if constexpr (std::is_integral_v<Value>) {
    if (!json.is_number_integer()) throw refuse("a whole number");
  } else if constexpr (std::is_floating_point_v<Value>) {
    if (!json.is_number() || !std::isfinite(json.get<double>())) throw refuse("a number");
  } else {
    static_assert(std::is_same_v<Value, std::string>);
    if (!json.is_string()) throw refuse("a text");
  }
  return json.get<Value>();
}

}  // namespace detail

// json: an object or null. Throws std::invalid_argument for an unknown key, a wrong type or a value that is
// not among the choices; the message names owner, option and the way out.
template <class Options>
Options parse_options(const std::string& owner, const nlohmann::json& json) {
  if (!json.is_null() && !json.is_object()) {
    throw std::invalid_argument(owner + ": options must be a table, not " + json.dump());
  }
  Options options;
  std::vector<std::string> known;
  options.for_each([&]<class Value>(const std::string& name, Value& value, const std::string&,
                                    const std::vector<std::string>& choices = {}) {
    known.push_back(name);
    if (!json.is_object() || !json.contains(name)) return;
    value = detail::option_value<Value>(owner, name, json.at(name));
    if constexpr (std::is_same_v<Value, std::string>) {
      if (!choices.empty() && std::find(choices.begin(), choices.end(), value) == choices.end()) {
        throw std::invalid_argument(owner + ": " + unknown_name_message("value of '" + name + "':", value, choices));
      }
    }
  });
  if (json.is_object()) {
    for (const auto& [name, value] : json.items()) {
      if (std::find(known.begin(), known.end(), name) == known.end()) {
        throw std::invalid_argument(owner + ": " + unknown_name_message("option", name, known));
      }
    }
  }
  return options;
}

template <class Options>
nlohmann::json options_to_json(Options options) {
  nlohmann::json json = nlohmann::json::object();
  options.for_each([&](const std::string& name, auto& value, const std::string&, const std::vector<std::string>& = {}) {
    json[name] = value;
  });
  return json;
}

template <class Options>
std::vector<OptionDescription> describe_options() {
  Options options;
  std::vector<OptionDescription> descriptions;
  options.for_each(
      [&](const std::string& name, auto& value, const std::string& help, const std::vector<std::string>& choices = {}) {
        descriptions.push_back({name, nlohmann::json(value).dump(), help, choices});
      });
  return descriptions;
}

}  // namespace moebench
