#include "results/row_selection.h"

#include <algorithm>
#include <map>
#include <set>
#include <sstream>
#include <stdexcept>

#include "harness/options.h"
#include "results/cell_text.h"

namespace moebench {
namespace {

using Rows = std::vector<const Row*>;

std::vector<std::string> parts_of(const std::string& name) {
  std::vector<std::string> parts;
  std::istringstream stream(name);
  for (std::string part; std::getline(stream, part, ':');) parts.push_back(part);
  return parts.empty() ? std::vector<std::string>{""} : parts;
}

// All that a name may say of a row besides its method.
std::set<std::string> traits_of(const Row& row) {
  const RunDescription& about = row.about;
  std::set<std::string> traits = {about.model, about.dtype, about.shape};
  if (about.is_oracle()) traits.insert("oracle");
  if (about.retrained_tokens > 0) traits.insert({"retrained", "retrained=" + std::to_string(about.retrained_tokens)});
  for (const auto& [name, value] : about.options.items()) {
    traits.insert(name + "=" + (value.is_string() ? value.get<std::string>() : value.dump()));
  }
  return traits;
}

class RowNames {
 public:
  RowNames(const Table& table, const std::vector<DescribedRun>& runs) : runs_(runs) {
    std::map<std::string, const std::string*> measured;  // of each row's key a run
    for (const DescribedRun& run : runs) {
      if (run.is_measurement() && !run.is_failed()) measured.emplace(run.row_key, &run.record->uuid);
    }
    for (const Row& row : table.rows) {
      const auto found = measured.find(row.key);
      if (found == measured.end()) continue;
      rows_.push_back(&row);
      uuids_[&row] = *found->second;
      methods_.insert(row.about.method);
      parents_.insert({row.about.model, row.about.dtype});
    }
  }

  SelectedRow select(const std::string& name) const {
    for (const DescribedRun& run : runs_) {
      if (run.record->uuid == name) return row_of(run);
    }
    const std::vector<std::string> parts = parts_of(name);
    Rows of_method = rows_;
    std::erase_if(of_method, [&](const Row* row) { return row->about.method != parts.front(); });
    if (of_method.empty()) {
      throw std::invalid_argument(
          unknown_name_message("measured method", parts.front(), {methods_.begin(), methods_.end()}));
    }
    Rows rows = of_method;
    for (size_t part = 1; part < parts.size(); ++part) {
      std::erase_if(rows, [&](const Row* row) { return !traits_of(*row).contains(parts[part]); });
    }
    if (rows.empty()) throw std::invalid_argument("'" + name + "' is no row; there are " + listed(of_method));
    prefer(rows, [](const Row& row) { return !row.about.is_oracle(); });
    prefer(rows, [](const Row& row) { return row.about.retrained_tokens == 0; });
    if (rows.size() > 1) throw std::invalid_argument("'" + name + "' may be any of " + listed(rows) + "; give one");
    return {.row = rows.front()};
  }

 private:
  template <class Condition>
  static void prefer(Rows& rows, const Condition& condition) {
    if (!std::any_of(rows.begin(), rows.end(), [&](const Row* row) { return condition(*row); })) return;
    std::erase_if(rows, [&](const Row* row) { return !condition(*row); });
  }

  SelectedRow row_of(const DescribedRun& run) const {
    const auto found =
        std::find_if(rows_.begin(), rows_.end(), [&](const Row* row) { return row->key == run.row_key; });
    if (!run.is_measurement() || run.is_failed() || found == rows_.end()) {
      throw std::invalid_argument("run " + run.record->uuid + " is no completed measurement; give one's uuid");
    }
    return {.row = *found, .seed = run.record->seed};
  }

  // A name that select would narrow to this row, where there is one.
  std::string selector(const Row& row) const {
    const RunDescription& about = row.about;
    std::string text = about.method;
    if (!about.shape.empty()) text += ":" + about.shape;
    if (parents_.size() > 1) text += ":" + about.model + ":" + about.dtype;
    if (about.is_oracle()) text += ":oracle";
    if (about.retrained_tokens > 0) text += ":retrained=" + std::to_string(about.retrained_tokens);
    for (size_t begin = 0; begin < row.options.size();) {
      const size_t end = std::min(row.options.find(", ", begin), row.options.size());
      text += ":" + row.options.substr(begin, end - begin);
      begin = end + 2;
    }
    return text;
  }

  std::string listed(const Rows& rows) const {
    std::vector<std::string> texts;
    for (const Row* row : rows) texts.push_back(selector(*row) + " (run " + uuids_.at(row) + ")");
    return join(texts, ", ");
  }

  const std::vector<DescribedRun>& runs_;
  Rows rows_;
  std::map<const Row*, std::string> uuids_;
  std::set<std::string> methods_;
  std::set<std::pair<std::string, std::string>> parents_;  // models with dtypes
};

}  // namespace

SelectedRow select_row(const std::string& name, const Table& table, const std::vector<DescribedRun>& runs) {
  return RowNames(table, runs).select(name);
}

}  // namespace moebench
