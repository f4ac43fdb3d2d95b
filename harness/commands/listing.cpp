// methods and tasks: what is registered under which name, with its options; and how methods are retrained.
#include <memory>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "harness/commands/commands.h"
#include "harness/converter.h"
#include "harness/retraining/recipe.h"
#include "harness/task.h"

namespace moebench {
namespace {

std::string choices_text(const OptionDescription& option) {
  return option.choices.empty() ? "" : fmt::format(" [{}]", fmt::join(option.choices, ", "));
}

// What is listed of an entry besides its options: a method's own retraining recipe.
std::string more_text(const Registry<Task>::Entry&) { return ""; }
std::string more_text(const Registry<Converter>::Entry& entry) {
  std::string text;
  for (const RetrainStage& stage : entry.create(nlohmann::json::object())->retrain_recipe()) {
    text += fmt::format("    recipe published, stage {}:", stage.name);
    const nlohmann::json changed = changed_fields(stage);
    for (const auto& [field, value] : changed.items()) text += fmt::format(" {}={}", field, value.dump());
    text += "\n";
  }
  return text;
}

void add_more(const Registry<Task>::Entry&, nlohmann::ordered_json&) {}
void add_more(const Registry<Converter>::Entry& entry, nlohmann::ordered_json& listed) {
  listed["published_recipe"] = recipe_to_json(entry.create(nlohmann::json::object())->retrain_recipe());
}

template <class Entry>
void print_text(const std::vector<Entry>& entries) {
  for (const Entry& entry : entries) {
    fmt::print("{}\n  {}\n", entry.name, entry.summary);
    for (const OptionDescription& option : entry.options) {
      fmt::print("    {:<34} {}{}\n", option.name + " = " + option.default_value, option.help, choices_text(option));
    }
    fmt::print("{}", more_text(entry));
  }
}

template <class Entry>
void print_json(const std::vector<Entry>& entries) {
  nlohmann::ordered_json listed = nlohmann::ordered_json::array();
  for (const Entry& entry : entries) {
    nlohmann::ordered_json options = nlohmann::ordered_json::array();
    for (const OptionDescription& option : entry.options) {
      options.push_back({{"name", option.name},
                         {"default", nlohmann::ordered_json::parse(option.default_value)},
                         {"help", option.help},
                         {"choices", option.choices}});
    }
    listed.push_back({{"name", entry.name}, {"summary", entry.summary}, {"options", options}});
    add_more(entry, listed.back());
  }
  fmt::print("{}\n", listed.dump(2));
}

template <class Interface>
std::function<int()> define_listing(CLI::App& command) {
  auto as_json = std::make_shared<bool>(false);
  command.add_flag("--json", *as_json, "for machines");
  return [as_json] {
    const auto& registry = Registry<Interface>::instance();
    std::vector<typename Registry<Interface>::Entry> entries;
    for (const std::string& name : registry.names()) entries.push_back(registry.find(name));
    *as_json ? print_json(entries) : print_text(entries);
    return 0;
  };
}

}  // namespace

std::function<int()> define_methods(CLI::App& command) { return define_listing<Converter>(command); }
std::function<int()> define_tasks(CLI::App& command) { return define_listing<Task>(command); }

}  // namespace moebench
