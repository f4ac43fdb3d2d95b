// What a sweep file says of a method or a task, against the registry.
#pragma once

#include <stdexcept>
#include <string>

#include <nlohmann/json.hpp>

#include "harness/registry.h"

namespace moebench {

// Names the place in the sweep file in front of what a registry refuses.
template <class Interface, class Use>
auto at_location(const std::string& location, const std::string& name, const Use& use) {
  try {
    return use(Registry<Interface>::instance().find(name));
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(location + ": " + error.what());
  }
}

template <class Interface>
nlohmann::json changed_options(const typename Registry<Interface>::Entry& entry, const nlohmann::json& resolved) {
  const nlohmann::json defaults = entry.resolve(nlohmann::json::object());
  nlohmann::json changed = nlohmann::json::object();
  for (const auto& [name, value] : resolved.items()) {
    if (value != defaults.at(name)) changed[name] = value;
  }
  return changed;
}

}  // namespace moebench
