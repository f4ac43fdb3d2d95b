// Did it get worse? Three rules for three kinds of metric: counters are equal or not; quality is compared on the same
// items; times are compared by ranks, and have to move farther than the smallest slowdown that matters and than the
// history has moved from night to night. What the evidence does not say is said to be inconclusive.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "harness/metric.h"
#include "results/paired_comparison.h"
#include "results/paired_items.h"

namespace moebench {

enum class Verdict { kOk, kImproved, kRegressed, kInconclusive };
const char* verdict_name(Verdict verdict);  // ok, improved, regressed, inconclusive

struct VerdictRule {
  double level = 0.01;         // of p-values, adjusted for the number of tests of the table
  double doubt = 0.15;         // below it what could be a regression is not called ok
  double min_slowdown = 0.03;  // a share; less does not matter
  // Seconds of two nights differ by what else the machine does, ratios of neighbours hardly: before a history says how
  // much, seconds have to move this far.
  double unknown_spread = 0.10;
  size_t min_changes = 5;           // from night to night, before they say what is usual
  double min_nll_change = 1e-4;     // nats per token; less is another order of the same sums
  double counter_tolerance = 1e-4;  // a share, of counters that are no whole numbers: means, shares, perplexities
};

// Positive is worse; a share of the base for times, in the metric's unit for quality.
struct Evidence {
  double worsening = 0;
  Interval interval;     // 95 %
  double threshold = 0;  // what a worsening has to exceed
  double p_value = 1;    // two-sided
};

// The upper quartile and three interquartile ranges of the relative changes from night to night; none if there are
// fewer than rule.min_changes. medians: one a night, oldest first, above 0.
std::optional<double> history_spread(const std::vector<double>& medians, const VerdictRule& rule = {});

// base, candidate: repetitions, as they were measured. direction: not kNeither. is_ratio: of arms that took turns.
// history: medians of the nights before. Throws as median_ratio does.
Evidence timing_evidence(const std::vector<double>& base, const std::vector<double>& candidate, Direction direction,
                         bool is_ratio, const std::vector<double>& history, const VerdictRule& rule = {});

// McNemar's exact p-value where items are right or wrong and each is a cluster of its own, else that of the paired
// difference. items: without an obstacle.
Evidence quality_evidence(const PairedItems& items, const VerdictRule& rule = {});

// adjusted_p: evidence.p_value, adjusted for the tests beside it.
Verdict judge(const Evidence& evidence, double adjusted_p, const VerdictRule& rule = {});

// Of what two runs of one program have alike. Whole numbers have to be equal, others nearly; one that is no finite
// number where the base is one is a regression, and so is any change of what has no better direction.
Verdict judge_counter(double base, double candidate, Direction direction, const VerdictRule& rule = {});

}  // namespace moebench
