#include "results/html_provenance.h"

#include <algorithm>
#include <cmath>
#include <ctime>
#include <set>
#include <unordered_map>

#include <fmt/format.h>

#include "results/cell_text.h"
#include "results/html_table.h"
#include "results/markup.h"
#include "results/number_format.h"
#include "results/run_commands.h"
#include "results/run_description.h"

namespace moebench {
namespace {

using Runs = std::vector<const RunRecord*>;

std::string time_of(double seconds) {
  const auto time = static_cast<std::time_t>(std::clamp(std::isfinite(seconds) ? seconds : 0, 0.0, 2.5e11));
  std::tm parts{};
  gmtime_r(&time, &parts);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                     parts.tm_hour, parts.tm_min, parts.tm_sec);
}

// A row's runs with the conversions and retrainings that made what they measured, makers first.
std::unordered_map<std::string, Runs> runs_by_row(const std::vector<DescribedRun>& runs) {
  std::unordered_map<std::string, Runs> conversions, retrainings, rows;
  std::unordered_map<std::string, const DescribedRun*> row_keys;
  for (const DescribedRun& run : runs) {
    row_keys.emplace(run.row_key, &run);
    if (run.is_conversion()) conversions[run.conversion_key].push_back(run.record);
    if (run.record->stage == "retrain") retrainings[run.retraining_key].push_back(run.record);
  }
  for (const auto& [key, run] : row_keys) {
    Runs& of_row = rows[key];
    for (const auto* makers : {&conversions, &retrainings}) {
      const auto found = makers->find(makers == &conversions ? run->conversion_key : run->retraining_key);
      if (found != makers->end()) of_row.insert(of_row.end(), found->second.begin(), found->second.end());
    }
  }
  for (const DescribedRun& run : runs) {
    if (run.is_measurement()) rows[run.row_key].push_back(run.record);
  }
  return rows;
}

std::string stage_name(const RunRecord& run) {
  if (run.stage != "measure") return run.stage;
  const auto task = run.config.find("task");
  return task != run.config.end() && task->is_string() ? task->get<std::string>() : run.stage;
}

// Of the first seed: those of others differ in it and in nothing else.
std::string commands_text(const Runs& runs) {
  int64_t seed = INT64_MAX;
  for (const RunRecord* run : runs) seed = std::min(seed, run->seed);
  std::string text;
  std::set<std::string> seen;
  for (const RunRecord* run : runs) {
    // Dense is measured once, whatever its seed.
    if (run->seed != seed) continue;
    const std::string command = command_of(*run);
    if (!command.empty() && seen.insert(command).second) text += escape_markup(command) + "\n";
  }
  return text;
}

std::string runs_table(const Runs& runs) {
  std::vector<std::vector<std::string>> rows;
  for (const RunRecord* run : runs) {
    const std::string status = run->status == "completed" ? "completed" : "FAILED: " + run->error;
    rows.push_back({stage_name(*run), std::to_string(run->seed), status, time_of(run->started),
                    format_number(run->ended - run->started), run->build.substr(0, kShownBuild), run->machine_class,
                    run->uuid});
  }
  return html_data_table({"run", "seed", "status", "started (UTC)", "seconds", "moebench", "machine", "uuid"}, rows,
                         false);
}

std::string texts_of(const RunDescription& about) {
  std::string text;
  if (about.calibration) {
    text += fmt::format("Calibrated on {} tokens ({} windows of {} of each text): {}. ", about.calibration->tokens,
                        about.calibration->windows, about.calibration->window, join(about.calibration->texts, ", "));
  }
  if (about.retrained_tokens > 0) {
    text += fmt::format("Retrained on {} tokens ({}): {}.", about.retrained_tokens, about.retrain_recipe,
                        join(about.retrain_texts, ", "));
  }
  return text;
}

std::string details_of(const Row& row, const std::string& anchor, const Runs& runs) {
  const std::string texts = texts_of(row.about), commands = commands_text(runs);
  std::string html =
      fmt::format("<details class=\"row\" id=\"{}\"><summary>{} <small>{} in {}</small></summary>\n", anchor,
                  escape_markup(row_title(row)), escape_markup(row.about.model), escape_markup(row.about.dtype));
  if (!texts.empty()) html += "<p><small>" + escape_markup(texts) + "</small></p>\n";
  if (!commands.empty()) html += "<pre>" + commands + "</pre>\n";
  if (row.seeds.size() > 1) {
    html += "<p><small>Numbers are means of seeds " + escape_markup(join(row.seeds, ", ")) +
            ": the same commands with another --seed.</small></p>\n";
  }
  return html + runs_table(runs) + "</details>\n";
}

}  // namespace

HtmlProvenance html_provenance(const Table& table, const std::vector<RunRecord>& runs) {
  const std::unordered_map<std::string, Runs> by_row = runs_by_row(describe_runs(runs));
  HtmlProvenance provenance;
  for (const Row& row : table.rows) {
    const std::string anchor = "row-" + std::to_string(provenance.anchors.size() + 1);
    provenance.anchors[&row] = anchor;
    const auto found = by_row.find(row.key);
    provenance.html += details_of(row, anchor, found == by_row.end() ? Runs() : found->second);
  }
  return provenance;
}

}  // namespace moebench
