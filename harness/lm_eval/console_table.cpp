#include "harness/lm_eval/console_table.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "harness/lm_eval/python_json.h"
#include "harness/text/unicode.h"

namespace moebench {
namespace {

using nlohmann::ordered_json;

struct Cell {
  std::string text;
  bool is_number = false;
};

constexpr size_t kNumColumns = 9;
using Row = std::array<Cell, kNumColumns>;

Cell decimal_cell(double value) {
  if (std::isnan(value)) return {"NaN", true};
  if (std::isinf(value)) return {value < 0 ? "-Infinity" : "Infinity", true};
  return {fmt::format("{:.4f}", value), true};
}

// A version "2" is the number, as to lm-eval's writer, and 1.0 is 1.
Cell version_cell(const ordered_json& version) {
  if (version.is_null()) return {};
  if (version.is_number()) {
    const double value = version.get<double>();
    return {value == std::floor(value) ? fmt::format("{:.0f}", value) : python_repr(value), true};
  }
  const std::string text = version.get<std::string>();
  const bool digits = !text.empty() && text.find_first_not_of("0123456789.") == std::string::npos;
  return {text, digits};
}

struct PlacedName {
  std::string name;
  size_t depth = 0;
};

// Groups in alphabetical order, each followed by its members; then what belongs to no group.
std::vector<PlacedName> placed_names(const ordered_json& groups, const ordered_json& shown) {
  std::vector<PlacedName> names;
  std::set<std::string> members, seen;
  std::map<std::string, std::set<std::string>> members_of;
  for (const auto& [group, children] : groups.items()) {
    for (const ordered_json& child : children) {
      members.insert(child.get<std::string>());
      members_of[group].insert(child.get<std::string>());
    }
  }
  const auto visit = [&](const auto& self, const std::string& name, size_t depth) -> void {
    seen.insert(name);
    if (shown.contains(name)) names.push_back({name, depth});
    const auto children = members_of.find(name);
    if (children == members_of.end()) return;
    for (const std::string& child : children->second) self(self, child, depth + 1);
  };
  for (const auto& [group, children] : members_of) {
    if (!members.contains(group)) visit(visit, group, 0);
  }
  std::set<std::string> rest;
  for (const auto& [name, metrics] : shown.items()) {
    if (!seen.contains(name)) rest.insert(name);
  }
  for (const std::string& name : rest) names.push_back({name, 0});
  return names;
}

std::string arrow(const ordered_json& results, const std::string& name, const std::string& metric) {
  const ordered_json none = ordered_json::object();
  const ordered_json directions = results.at("higher_is_better").value(name, none);
  if (!directions.contains(metric) || directions[metric].is_null()) return "";
  return directions[metric].get<bool>() ? "↑" : "↓";
}

Cell error_cell(const ordered_json& standard_error) {
  return standard_error.is_number() ? decimal_cell(standard_error.get<double>()) : Cell{"   N/A", false};
}

void add_rows(const ordered_json& results, const ordered_json& shown, const PlacedName& placed,
              std::vector<Row>& rows) {
  const ordered_json& entry = shown.at(placed.name);
  std::map<std::string, ordered_json> scores;  // "metric,filter", sorted
  for (const auto& [key, value] : entry.items()) {
    if (key.find(',') != std::string::npos) scores[key] = value;
  }
  const std::string indent = placed.depth == 0 ? "" : std::string(placed.depth, ' ') + "- ";
  Cell name{indent + entry.value("alias", placed.name)};
  Cell version = version_cell(results.at("versions").value(placed.name, ordered_json("    N/A")));
  const auto shots = results.at("n-shot").find(placed.name);
  const Cell shot = shots == results.at("n-shot").end() ? Cell{} : Cell{shots->dump(), true};
  for (const auto& [key, value] : scores) {
    const std::string metric = key.substr(0, key.find(',')), filter = key.substr(key.find(',') + 1);
    if (metric.ends_with("_stderr")) continue;
    const auto error = scores.find(metric + "_stderr," + filter);
    rows.push_back({name, version, Cell{filter}, shot, Cell{metric}, Cell{arrow(results, placed.name, metric)},
                    decimal_cell(value.get<double>()), Cell{error == scores.end() ? "" : "±"},
                    error == scores.end() ? Cell{} : error_cell(error->second)});
    name = version = {};
  }
}

std::string spaces(size_t count) { return std::string(count, ' '); }

std::string padded(const Cell& cell, size_t width) {
  const std::string padding = spaces(width - count_characters(cell.text));
  return cell.is_number ? padding + cell.text : cell.text + padding;
}

std::string centred(const std::string& text, size_t width) {
  const size_t padding = width - count_characters(text);
  return spaces(padding / 2) + text + spaces(padding - padding / 2);
}

// A column is right-aligned if all that stands in it are numbers.
std::string rendered(const std::array<std::string, kNumColumns>& titles, const std::vector<Row>& rows) {
  std::string head = "|", rule = "|";
  std::vector<std::string> lines(rows.size(), "|");
  for (size_t column = 0; column < kNumColumns; ++column) {
    size_t width = std::max<size_t>(3, count_characters(titles[column]));
    bool numbers = false, texts = false;
    for (const Row& row : rows) {
      width = std::max(width, count_characters(row[column].text));
      numbers |= row[column].is_number;
      texts |= !row[column].is_number && !row[column].text.empty();
    }
    const bool right = numbers && !texts;
    head += centred(titles[column], width) + "|";
    rule += std::string(right ? width - 1 : width, '-') + (right ? ":|" : "|");
    for (size_t row = 0; row < rows.size(); ++row) lines[row] += padded(rows[row][column], width) + "|";
  }
  std::string table = head + "\n" + rule + "\n";
  for (const std::string& line : lines) table += line + "\n";
  return table;
}

}  // namespace

std::string console_header(const std::string& model, const std::string& model_args, std::optional<double> limit,
                           std::optional<int64_t> num_fewshot, const std::string& batch_size) {
  return fmt::format("{} ({}), gen_kwargs: (None), limit: {}, num_fewshot: {}, batch_size: {}", model, model_args,
                     limit.has_value() ? python_repr(*limit) : "None",
                     num_fewshot.has_value() ? std::to_string(*num_fewshot) : "None", batch_size);
}

std::string console_table(const ordered_json& results, TableContent content) {
  const bool of_tasks = content == TableContent::kTasks;
  const auto shown = results.find(of_tasks ? "results" : "groups");
  if (shown == results.end()) return "";
  std::vector<Row> rows;
  for (const PlacedName& placed : placed_names(results.at("group_subtasks"), *shown)) {
    add_rows(results, *shown, placed, rows);
  }
  return rendered({of_tasks ? "Tasks" : "Groups", "Version", "Filter", "n-shot", "Metric", "", "Value", "", "Stderr"},
                  rows);
}

}  // namespace moebench
