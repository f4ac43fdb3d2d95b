#include "results/night.h"

#include <algorithm>
#include <cmath>
#include <ctime>
#include <map>
#include <optional>
#include <set>

#include "results/cell_text.h"
#include "results/distinction.h"
#include "results/resampling.h"
#include "results/run_description.h"
#include "results/table.h"

namespace moebench {
namespace {

using Json = nlohmann::json;

// What RunRecord::config says of the night; all that is there, or nothing.
struct NightEntry {
  std::string id, sweep;
  int64_t round = 0;
  bool is_timed = false;
};

std::optional<NightEntry> night_of(const RunRecord& run) {
  if (!run.config.is_object()) return std::nullopt;
  const auto night = run.config.find("night");
  if (night == run.config.end() || !night->is_object()) return std::nullopt;
  const Json id = night->value("id", Json()), sweep = night->value("sweep", Json());
  const Json round = night->value("round", Json()), timed = night->value("timed", Json());
  if (!id.is_string() || !sweep.is_string() || !round.is_number_integer() || !timed.is_boolean()) return std::nullopt;
  return NightEntry{id, sweep, round, timed};
}

int64_t round_of(const RunRecord& run) { return night_of(run).value_or(NightEntry()).round; }

std::string changed_options_label(const RunDescription& about) {
  std::string label;
  for (const auto& [name, value] : about.changed_options.items()) {
    label += (label.empty() ? "" : ", ") + name + "=" + (value.is_string() ? value.get<std::string>() : value.dump());
  }
  return label;
}

// Names come from a database, and may be anything.
std::string key_text(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

// Names and settings of a cell; what a hash or a version stands for may have changed behind them.
std::string cell_key(const RunRecord& run, const RunDescription& about) {
  Json calibration;
  if (about.calibration) {
    calibration = {about.calibration->texts, about.calibration->windows, about.calibration->window};
  }
  return key_text({about.model, about.dtype, about.method, about.options, about.shape, about.router, calibration,
                   about.retrained_tokens, about.retrain_recipe, about.retrain_texts, run.seed, about.task,
                   about.task_options});
}

bool is_of_a_layer(const std::string& metric) { return metric.find("/layer-") != std::string::npos; }

Json flat_identity(const RunRecord& run) {
  const auto found = run.config.is_object() ? run.config.find("identity") : run.config.end();
  if (!run.config.is_object() || found == run.config.end() || !found->is_object() || found->empty()) {
    return Json::object();
  }
  return found->flatten();
}

}  // namespace

double NightSeries::value() const {
  const bool are_numbers = std::none_of(samples.begin(), samples.end(), [](double value) { return std::isnan(value); });
  return are_numbers && !samples.empty() ? median(samples) : std::nan("");
}

const NightSeries* Night::find(const std::string& key) const {
  const auto found = std::find_if(series.begin(), series.end(), [&](const NightSeries& of) { return of.key == key; });
  return found == series.end() ? nullptr : &*found;
}

Night make_night(const std::vector<const RunRecord*>& runs) {
  std::vector<const RunRecord*> by_round = runs;
  std::stable_sort(by_round.begin(), by_round.end(), [](const RunRecord* left, const RunRecord* right) {
    return std::pair(round_of(*left), left->started) < std::pair(round_of(*right), right->started);
  });
  const RunRecord& first = *by_round.front();
  const NightEntry about_night = night_of(first).value_or(NightEntry());
  Night night{.id = about_night.id,
              .sweep = about_night.sweep,
              .machine_class = first.machine_class,
              .build = first.build,
              .started = first.started};
  std::map<std::string, size_t> positions;
  for (const RunRecord* run : by_round) {
    night.started = std::min(night.started, run->started);
    if (run->status != "completed") night.failures.push_back(run);
    if (run->status != "completed" || run->stage != "measure") continue;
    const std::string cell = cell_key(*run, describe(*run));
    for (const Metric& metric : run->metrics) {
      if (is_of_a_layer(metric.name)) continue;
      const std::string key = key_text({cell, metric.name, metric.unit, direction_name(metric.direction)});
      const auto [position, is_new] = positions.emplace(key, night.series.size());
      if (is_new) {
        night.series.push_back({.key = key,
                                .subject = subject_of(*run),
                                .metric = metric,
                                .is_timed = night_of(*run).value_or(NightEntry()).is_timed});
      }
      NightSeries& series = night.series[position->second];
      series.samples.push_back(metric.value);
      series.runs.push_back(run);
    }
  }
  return night;
}

std::vector<Night> read_nights(const std::vector<RunRecord>& runs) {
  std::map<std::string, std::vector<const RunRecord*>> by_id;
  for (const RunRecord& run : runs) {
    if (const auto night = night_of(run)) by_id[night->id].push_back(&run);
  }
  std::vector<Night> nights;
  for (const auto& [id, of_night] : by_id) nights.push_back(make_night(of_night));
  std::stable_sort(nights.begin(), nights.end(),
                   [](const Night& left, const Night& right) { return left.started < right.started; });
  return nights;
}

std::string utc_date(double seconds_since_epoch) {
  const auto seconds = static_cast<std::time_t>(seconds_since_epoch);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[64];
  return std::string(text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &parts));
}

std::string night_date(const Night& night) { return utc_date(night.started); }

std::string subject_of(const RunRecord& run) {
  const RunDescription about = describe(run);
  const Row row{.kind = about.is_oracle() ? RowKind::kBound : RowKind::kMethod,
                .about = about,
                .options = changed_options_label(about)};
  const std::string title = about.model + " " + row_title(row);
  return one_line(about.is_dense() ? title : title + ", seed " + std::to_string(run.seed));
}

std::vector<std::string> fingerprint_differences(const RunRecord& then, const RunRecord& now) {
  std::vector<std::string> lines;
  if (then.machine_class != now.machine_class) {
    lines.push_back("machine class: " + one_line(then.machine_class) + " then, " + one_line(now.machine_class) +
                    " now");
  }
  const Json was = flat_identity(then), is = flat_identity(now);
  std::set<std::string> fields;
  for (const Json* identity : {&was, &is}) {
    for (const auto& [field, value] : identity->items()) fields.insert(field);
  }
  for (const std::string& field : fields) {
    const Json before = was.value(field, Json()), after = is.value(field, Json());
    if (before != after)
      lines.push_back(
          one_line(field_name(field) + ": " + shown_value(before) + " then, " + shown_value(after) + " now"));
  }
  return lines;
}

}  // namespace moebench
