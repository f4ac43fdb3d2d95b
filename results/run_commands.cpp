#include "results/run_commands.h"

#include <sstream>

#include <fmt/format.h>

#include "harness/shell_quote.h"
#include "results/run_description.h"

namespace moebench {
namespace {

using Json = nlohmann::json;

// What --set reads back as the same value: strings without quotes unless they would be read as something else.
std::string setting_text(const Json& value) {
  if (!value.is_string()) return value.dump();
  const auto& text = value.get_ref<const std::string&>();
  return Json::accept(text) ? value.dump(-1, ' ', false, Json::error_handler_t::replace) : text;
}

class Command {
 public:
  explicit Command(const std::string& name) : text_("moebench " + name) {}
  Command& add(const std::string& option, const std::string& value) {
    text_ += " " + option + " " + shell_quoted(value);
    return *this;
  }
  Command& set(const std::string& option, const std::string& name, const Json& value) {
    return add(option, name + "=" + setting_text(value));
  }
  Command& flag(const std::string& option) {
    text_ += " " + option;
    return *this;
  }
  std::string text() const { return text_; }

 private:
  std::string text_;
};

void add_dtype(const std::string& dtype, Command& command) {
  if (!dtype.empty() && dtype != "float32") command.add("--dtype", dtype);
}

std::string convert_command(const RunDescription& about, int64_t seed) {
  Command command("convert");
  command.add("--model", about.model).add("--method", about.method).add("--shape", about.shape);
  constexpr std::string_view kAdjust = "adjust.";
  for (const auto& [name, value] : about.changed_options.items()) {
    if (name.starts_with(kAdjust)) {
      command.set("--adjust", name.substr(kAdjust.size()), value);
    } else {
      command.set("--set", name, value);
    }
  }
  if (about.calibration) {
    command.flag("--calibration");
    for (const std::string& text : about.calibration->texts) command.flag(shell_quoted(text));
    command.add("--windows", std::to_string(about.calibration->windows));
    command.add("--window", std::to_string(about.calibration->window));
  }
  command.add("--seed", std::to_string(seed));
  add_dtype(about.dtype, command);
  return command.add("--out", kConversionFile).text();
}

Json retraining_of(const RunRecord& run) {
  if (!run.config.is_object()) return Json::object();
  const auto found = run.config.find("retraining");
  return found != run.config.end() && found->is_object() ? *found : Json::object();
}

std::string member_text(const Json& json, const char* name) {
  const auto found = json.find(name);
  return found != json.end() && found->is_number_integer() ? std::to_string(found->get<int64_t>()) : "";
}

// A mark before the end of a training is of the whole training: its schedule knows the budget.
bool is_before_budget(const RunRecord& run, int64_t tokens) {
  const std::string budget = member_text(retraining_of(run), "budget");
  return !budget.empty() && budget != std::to_string(tokens);
}

std::string retrain_command(const RunRecord& run, const RunDescription& about, int64_t seed) {
  const Json retraining = retraining_of(run);
  Command command("retrain");
  command.add("--model", about.model).add("--conversion", kConversionFile).flag("--text");
  for (const std::string& text : about.retrain_texts) command.flag(shell_quoted(text));
  const std::string tokens = std::to_string(about.retrained_tokens);
  command.add("--tokens", is_before_budget(run, about.retrained_tokens)
                              ? tokens + "," + member_text(retraining, "budget")
                              : tokens);
  // "common, bfloat16, learning_rate=0.001", as planned cells name it.
  std::istringstream label(about.retrain_recipe);
  std::string part;
  for (bool is_name = true; std::getline(label, part, ','); is_name = false) {
    part.erase(0, part.find_first_not_of(' '));
    if (is_name) {
      command.add("--recipe", part);
    } else if (part.find('=') != std::string::npos) {
      command.add("--set", part);
    } else {
      command.add("--dtype", part);
    }
  }
  if (const std::string window = member_text(retraining, "window"); !window.empty()) command.add("--window", window);
  return command.add("--seed", std::to_string(seed)).add("--out", "retrained.safetensors").text();
}

std::string eval_command(const RunRecord& run, const RunDescription& about) {
  Command command("eval");
  command.add("--model", about.model);
  if (!about.is_dense()) {
    command.add("--conversion", about.retrained_tokens == 0 ? kConversionFile
                                : is_before_budget(run, about.retrained_tokens)
                                    ? fmt::format("retrained-{}.safetensors", about.retrained_tokens)
                                    : "retrained.safetensors");
  }
  if (about.is_oracle()) command.flag("--oracle");
  add_dtype(about.dtype, command);
  command.add("--tasks", about.task);
  for (const auto& [name, value] : about.task_options.items()) command.set("--set", about.task + "." + name, value);
  return command.text();
}

}  // namespace

std::string command_of(const RunRecord& run) {
  const RunDescription about = describe(run);
  if (about.model.empty() || about.method.empty()) return "";
  if (run.stage == "convert") return convert_command(about, run.seed);
  if (run.stage == "retrain") return retrain_command(run, about, run.seed);
  return run.stage == "measure" && !about.task.empty() ? eval_command(run, about) : "";
}

}  // namespace moebench
