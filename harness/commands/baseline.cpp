// moebench baseline: names for nights that later ones are compared with.
#include <unistd.h>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include <fmt/format.h>

#include "harness/commands/commands.h"
#include "harness/pipeline/run_record.h"
#include "results/cell_text.h"
#include "results/markdown_table.h"
#include "results/night.h"

namespace moebench {
namespace {

struct BaselineArguments {
  std::string database, name, why, night;
};

std::string user_name() {
  const char* user = std::getenv("USER");
  return user != nullptr && *user != '\0' ? user : "user " + std::to_string(getuid());
}

// night: the beginning of its id; "" is the last.
const Night& find_night(const std::vector<Night>& nights, const std::string& night) {
  if (nights.empty()) {
    throw std::invalid_argument("the database has no night yet; `moebench nightly SPEC.toml --db …` measures one");
  }
  const auto found = std::find_if(nights.rbegin(), nights.rend(),
                                  [&](const Night& candidate) { return candidate.id.starts_with(night); });
  if (found != nights.rend()) return *found;
  throw std::invalid_argument("--night " + night + ": no night has this id; `moebench baseline list` shows them");
}

void point_at(const BaselineArguments& arguments, bool must_exist) {
  ResultStore store(arguments.database, ResultStore::Mode::kReadWrite);
  const std::vector<BaselineRecord> baselines = store.baselines();
  const bool exists = std::any_of(baselines.begin(), baselines.end(),
                                  [&](const BaselineRecord& baseline) { return baseline.name == arguments.name; });
  if (exists && !must_exist) {
    throw std::invalid_argument("baseline '" + arguments.name + "' is set already; `moebench baseline accept " +
                                arguments.name + " --why …` moves it");
  }
  if (!exists && must_exist) {
    throw std::invalid_argument("there is no baseline '" + arguments.name + "' to move; `moebench baseline set " +
                                arguments.name + "` makes it");
  }
  const std::vector<RunRecord> runs = store.runs();
  const std::vector<Night> nights = read_nights(runs);
  const Night& night = find_night(nights, arguments.night);
  BaselineRecord baseline{arguments.name, user_name(), arguments.why, seconds_since_epoch(), {}};
  for (const NightSeries& series : night.series) {
    for (const RunRecord* run : series.runs) baseline.uuids.push_back(run->uuid);
  }
  std::sort(baseline.uuids.begin(), baseline.uuids.end());
  baseline.uuids.erase(std::unique(baseline.uuids.begin(), baseline.uuids.end()), baseline.uuids.end());
  store.set_baseline(baseline);
  fmt::print("baseline '{}' is the night of {} ({})\n", one_line(arguments.name), night_date(night),
             one_line(night.id));
}

int set_baseline(const BaselineArguments& arguments) {
  point_at(arguments, /*must_exist=*/false);
  return 0;
}

int accept_baseline(const BaselineArguments& arguments) {
  if (arguments.why.empty()) throw std::invalid_argument("--why: say why this night is right, for those who ask later");
  point_at(arguments, /*must_exist=*/true);
  return 0;
}

int list_baselines(const BaselineArguments& arguments) {
  const ResultStore store(arguments.database, ResultStore::Mode::kReadOnly);
  const std::vector<RunRecord> runs = store.runs();
  std::vector<MarkdownColumn> columns = {{"baseline", false}, {"night", false}, {"build", false}, {"sweep", false},
                                         {"set", false},      {"by", false},    {"why", false}};
  for (const BaselineRecord& baseline : store.baselines()) {
    std::vector<const RunRecord*> chosen;
    for (const RunRecord& run : runs) {
      if (std::binary_search(baseline.uuids.begin(), baseline.uuids.end(), run.uuid)) chosen.push_back(&run);
    }
    const Night night = make_night(chosen);
    const std::string cells[] = {baseline.name,         night_date(night), night.build,    night.sweep,
                                 utc_date(baseline.at), baseline.set_by,   baseline.reason};
    for (size_t column = 0; column < columns.size(); ++column) {
      columns[column].cells.push_back(escape_markdown(cells[column]));
    }
  }
  std::fputs(markdown_table(columns).c_str(), stdout);
  std::vector<MarkdownColumn> night_columns = {{"night", false}, {"id", false}, {"sweep", false}, {"build", false}};
  for (const Night& night : read_nights(runs)) {
    const std::string cells[] = {night_date(night), night.id, night.sweep, night.build};
    for (size_t column = 0; column < night_columns.size(); ++column) {
      night_columns[column].cells.push_back(escape_markdown(cells[column]));
    }
  }
  std::fputs(("\n" + markdown_table(night_columns)).c_str(), stdout);
  return 0;
}

}  // namespace

std::function<int()> define_baseline(CLI::App& command) {
  auto arguments = std::make_shared<BaselineArguments>();
  auto action = std::make_shared<int (*)(const BaselineArguments&)>(nullptr);
  command.require_subcommand(1);
  const auto add = [&](const char* name, const char* summary, int (*run)(const BaselineArguments&)) {
    CLI::App* subcommand = command.add_subcommand(name, summary);
    subcommand->add_option("--db", arguments->database, "results database")->required()->type_name("FILE");
    subcommand->callback([action, run] { *action = run; });
    return subcommand;
  };
  const auto add_name = [&](CLI::App* subcommand) {
    subcommand->add_option("name", arguments->name, "the baseline's name")->required()->type_name("NAME");
    subcommand->add_option("--night", arguments->night, "the beginning of a night's id (default: the last night)");
    return subcommand->add_option("--why", arguments->why, "kept with it, and shown by list");
  };
  add_name(add("set", "give a night a name that is new", set_baseline));
  add_name(add("accept", "move a name to a newer night, and say why", accept_baseline))->required();
  add("list", "the names, what each meant when, and the nights", list_baselines);
  command.footer(
      "  moebench baseline set accepted --db nightly.sqlite\n"
      "  moebench baseline accept accepted --db nightly.sqlite --why 'slower, for a router that is right'\n"
      "  moebench baseline list --db nightly.sqlite");
  return [arguments, action] { return (*action)(*arguments); };
}

}  // namespace moebench
