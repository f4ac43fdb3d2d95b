// A history is nights: each measures the same sweep again, whatever was measured before, and its times in several
// rounds. What of a night compares with what of another, and what keeps them from comparing.
#pragma once

#include <string>
#include <vector>

#include "results/result_store.h"

namespace moebench {

// One metric of one cell. Pointers are to runs that the caller keeps.
struct NightSeries {
  std::string key;      // the same from night to night: names and settings, not what is behind them
  std::string subject;  // "tiny cmoe S3A3E8, seed 0"
  Metric metric;        // its value is the first round's
  bool is_timed = false;
  std::vector<double> samples;         // of the rounds; one of what is not timed
  std::vector<const RunRecord*> runs;  // that these are of

  double value() const;  // the median of the samples; NaN if one is no number
};

struct Night {
  std::string id;     // a uuid
  std::string sweep;  // its name
  std::string machine_class, build;
  double started = 0;
  std::vector<NightSeries> series;         // in the order of measuring; conversions' and those of layers are left out
  std::vector<const RunRecord*> failures;  // of its runs

  const NightSeries* find(const std::string& key) const;  // null if there is none
};

// Of runs that were measured by night (RunRecord::config's "night"), the first rounds first. Not empty.
Night make_night(const std::vector<const RunRecord*>& runs);

// By their start. Runs that no night has measured are passed over.
std::vector<Night> read_nights(const std::vector<RunRecord>& runs);

// "2026-11-20 02:00 UTC"
std::string night_date(const Night& night);
std::string utc_date(double seconds_since_epoch);

// "tiny cmoe S3A3E8, seed 0": without its task.
std::string subject_of(const RunRecord& run);

// Why values of two runs do not compare, one line for each field: the class of the machine, hashes of weights and data,
// versions of the benchmark. "task_data: 3f2a91c0d1e2… then, 0b77aa318c00… now". None: they do.
std::vector<std::string> fingerprint_differences(const RunRecord& then, const RunRecord& now);

}  // namespace moebench
