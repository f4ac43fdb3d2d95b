#include "harness/options.h"

#include <numeric>
#include <set>

namespace moebench {
namespace {

// Levenshtein distance, bytes.
size_t edit_distance(const std::string& from, const std::string& to) {
  std::vector<size_t> row(to.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= from.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= to.size(); ++j) {
      const size_t substituted = diagonal + (from[i - 1] == to[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row.back();
}

}  // namespace

std::string nearest_name(const std::string& name, const std::vector<std::string>& known) {
  // Far-fetched suggestions confuse: at most a third of the name may differ, unless the rest was left out.
  constexpr size_t kShortestBeginning = 4;
  size_t best_distance = std::max<size_t>(2, name.size() / 3) + 1;
  std::string best;
  for (const std::string& candidate : known) {
    const bool is_beginning = name.size() >= kShortestBeginning && candidate.starts_with(name);
    const size_t distance = is_beginning ? 1 : edit_distance(name, candidate);
    if (distance >= best_distance) continue;
    best_distance = distance;
    best = candidate;
  }
  return best;
}

std::string unknown_name_message(const std::string& kind, const std::string& name,
                                 const std::vector<std::string>& known) {
  const std::string nearest = nearest_name(name, known);
  std::string list;
  std::set<std::string> listed;
  for (const std::string& candidate : known) {
    if (listed.insert(candidate).second) list += " " + candidate;
  }
  return "unknown " + kind + " '" + name + "'" + (nearest.empty() ? "" : "; did you mean '" + nearest + "'?") +
         (known.empty() ? "; none is known" : "; known:" + list);
}

}  // namespace moebench
