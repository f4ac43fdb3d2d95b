// Which earlier night a word means.
#pragma once

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "results/baseline_nights.h"

namespace moebench {

// There is nothing to compare with; the exit code is 5.
class MissingBaseline : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class ChosenBaseline {
 public:
  // name: "best" of the last 30 nights, "last" night, "commit:SHA" (the last night of a build of it), or a baseline by
  // its name. runs: the store's; nights: of them, oldest first; both must outlive this. Throws MissingBaseline naming
  // what there is.
  ChosenBaseline(const std::string& name, const std::vector<BaselineRecord>& baselines,
                 const std::vector<RunRecord>& runs, const std::vector<Night>& nights);

  Baseline against(const Night& tonight) const;

 private:
  const std::vector<Night>& nights_;
  std::string title_;
  std::optional<Night> night_;  // none: the best
};

}  // namespace moebench
