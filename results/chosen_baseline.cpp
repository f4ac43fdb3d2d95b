#include "results/chosen_baseline.h"

#include <algorithm>
#include <set>

#include "results/cell_text.h"

namespace moebench {
namespace {

constexpr std::string_view kCommit = "commit:";

std::string commits_of(const std::vector<Night>& nights) {
  std::vector<std::string> commits;
  for (const Night& night : nights) {
    const std::string commit = night.build.substr(0, 12);
    if (std::find(commits.begin(), commits.end(), commit) == commits.end()) commits.push_back(commit);
  }
  constexpr size_t kShown = 5;
  if (commits.size() > kShown) commits.erase(commits.begin(), commits.end() - kShown);
  return join(commits, ", ");
}

// Either may be written shorter than the other.
bool is_of_commit(const Night& night, const std::string& commit) {
  constexpr size_t kShortest = 4;
  const std::string built = night.build.substr(0, night.build.find(' '));  // "1a2b3c4d (modified)"
  const size_t shown = std::min(built.size(), commit.size());
  return shown >= kShortest && built.substr(0, shown) == commit.substr(0, shown);
}

const Night& night_of_commit(const std::string& commit, const std::vector<Night>& nights) {
  const auto found =
      std::find_if(nights.rbegin(), nights.rend(), [&](const Night& night) { return is_of_commit(night, commit); });
  if (found != nights.rend()) return *found;
  throw MissingBaseline("no night has measured commit '" + commit + "'; the last ones: " + commits_of(nights));
}

std::string names_of(const std::vector<BaselineRecord>& baselines) {
  std::set<std::string> names;
  for (const BaselineRecord& baseline : baselines) names.insert("'" + baseline.name + "'");
  return names.empty() ? "none" : join(std::vector<std::string>(names.begin(), names.end()), ", ");
}

// baselines: by name, then time.
Night named_night(const std::string& name, const std::vector<BaselineRecord>& baselines,
                  const std::vector<RunRecord>& runs) {
  const auto found = std::find_if(baselines.rbegin(), baselines.rend(),
                                  [&](const BaselineRecord& baseline) { return baseline.name == name; });
  if (found == baselines.rend()) {
    throw MissingBaseline("there is no baseline '" + name + "'; set: " + names_of(baselines) +
                          "; `moebench baseline set " + name + "` makes the last night one");
  }
  const std::set<std::string> uuids(found->uuids.begin(), found->uuids.end());
  std::vector<const RunRecord*> chosen;
  for (const RunRecord& run : runs) {
    if (uuids.contains(run.uuid)) chosen.push_back(&run);
  }
  return make_night(chosen);
}

}  // namespace

ChosenBaseline::ChosenBaseline(const std::string& name, const std::vector<BaselineRecord>& baselines,
                               const std::vector<RunRecord>& runs, const std::vector<Night>& nights)
    : nights_(nights) {
  const bool is_a_name = name != "best" && name != "last" && !name.starts_with(kCommit);
  if (is_a_name) {
    night_ = named_night(name, baselines, runs);
    title_ = "baseline '" + one_line(name) + "' of " + night_date(*night_);
    return;
  }
  if (nights.empty()) {
    throw MissingBaseline("there is no earlier night of this sweep to compare with; the next one has this");
  }
  if (name == "best") return;
  night_ = name == "last" ? nights.back() : night_of_commit(name.substr(kCommit.size()), nights);
  title_ = (name == "last" ? "the night of " : "commit " + night_->build + " of ") + night_date(*night_);
}

Baseline ChosenBaseline::against(const Night& tonight) const {
  return night_ ? baseline_of(title_, *night_) : best_of(nights_, tonight);
}

}  // namespace moebench
