// Names to implementations: methods, tasks. A registry only where outsiders add things.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "harness/options.h"

namespace moebench {

template <class Interface>
class Registry {
 public:
  struct Entry {
    std::string name;
    std::string summary;  // one line, shown by `moebench methods` and `moebench tasks`
    std::vector<OptionDescription> options;
    // Throws std::invalid_argument for an unknown key or a value of the wrong type.
    std::function<std::unique_ptr<Interface>(const nlohmann::json& options)> create;
    // The options with every default filled in: what a content key is made of. Throws as create does.
    std::function<nlohmann::json(const nlohmann::json& options)> resolve;
  };

  static Registry& instance() {
    static Registry registry;
    return registry;
  }

  // Throws std::logic_error if the name is taken.
  void add(Entry entry) {
    const std::string name = entry.name;
    if (!entries_.emplace(name, std::move(entry)).second) {
      throw std::logic_error("'" + name + "' is registered twice");
    }
  }

  // Throws std::invalid_argument naming the nearest known name.
  const Entry& find(const std::string& name) const {
    const auto found = entries_.find(name);
    if (found == entries_.end()) throw std::invalid_argument(unknown_name_message("name", name, names()));
    return found->second;
  }

  std::vector<std::string> names() const {
    std::vector<std::string> result;
    for (const auto& [name, entry] : entries_) result.push_back(name);
    return result;
  }

 private:
  std::map<std::string, Entry> entries_;
};

// `const Registration<Converter, Cmoe, CmoeOptions> registration("cmoe", "one line");` at namespace scope
// of the implementation's own .cpp. Implementation is constructed from Options.
template <class Interface, class Implementation, class Options>
struct Registration {
  Registration(const std::string& name, const std::string& summary) {
    Registry<Interface>::instance().add({
        .name = name,
        .summary = summary,
        .options = describe_options<Options>(),
        .create = [name](const nlohmann::json& options) -> std::unique_ptr<Interface> {
          return std::make_unique<Implementation>(parse_options<Options>(name, options));
        },
        .resolve =
            [name](const nlohmann::json& options) { return options_to_json(parse_options<Options>(name, options)); },
    });
  }
};

}  // namespace moebench
