#include "harness/commands/listing.h"

#include <memory>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace moebench {
namespace {

std::string choices_text(const OptionDescription& option) {
  return option.choices.empty() ? "" : fmt::format(" [{}]", fmt::join(option.choices, ", "));
}

void print_text(const std::vector<ListedName>& names) {
  for (const ListedName& name : names) {
    fmt::print("{}\n  {}\n", name.name, name.summary);
    for (const OptionDescription& option : name.options) {
      fmt::print("    {:<34} {}{}\n", option.name + " = " + option.default_value, option.help, choices_text(option));
    }
  }
}

void print_json(const std::vector<ListedName>& names) {
  nlohmann::ordered_json listed = nlohmann::ordered_json::array();
  for (const ListedName& name : names) {
    nlohmann::ordered_json options = nlohmann::ordered_json::array();
    for (const OptionDescription& option : name.options) {
      options.push_back({{"name", option.name},
                         {"default", nlohmann::ordered_json::parse(option.default_value)},
                         {"help", option.help},
                         {"choices", option.choices}});
    }
    listed.push_back({{"name", name.name}, {"summary", name.summary}, {"options", options}});
  }
  fmt::print("{}\n", listed.dump(2));
}

}  // namespace

std::function<int()> define_listing(CLI::App& command, std::function<std::vector<ListedName>()> list) {
  auto as_json = std::make_shared<bool>(false);
  command.add_flag("--json", *as_json, "for machines");
  return [as_json, list = std::move(list)] {
    *as_json ? print_json(list()) : print_text(list());
    return 0;
  };
}

}  // namespace moebench
