#include "results/render_night.h"

#include <algorithm>
#include <cmath>

#include "results/cell_text.h"
#include "results/markdown_table.h"
#include "results/number_format.h"

namespace moebench {
namespace {

std::string count_of(int64_t count, const std::string& what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

std::string verdict_text(const NightRow& row) {
  switch (row.status) {
    case RowStatus::kNew:
      return "new";
    case RowStatus::kNotComparable:
      return "not comparable";
    case RowStatus::kMissing:
      return "missing";
    case RowStatus::kJudged:
      break;
  }
  return verdict_name(row.verdict);
}

bool is_quiet(const NightRow& row) { return row.is(Verdict::kOk) && row.note.empty(); }

std::string signed_percent(double share) { return (share > 0 ? "+" : "") + format_percent(share); }

bool is_a_share(const NightRow& row) { return row.rule == MetricRule::kTiming; }

// Counted from the base, in the metric's own direction: a slower time is +5 %, fewer tokens a second -5 %.
std::string change_text(const NightRow& row) {
  if (row.status != RowStatus::kJudged || !std::isfinite(row.base) || !std::isfinite(row.tonight)) return "";
  if (row.base == row.tonight) return "0";
  if (row.rule != MetricRule::kQuality && row.base != 0) return signed_percent(row.tonight / row.base - 1);
  return (row.tonight > row.base ? "+" : "") + format_number(row.tonight - row.base);
}

std::string worsening_text(const NightRow& row, double worsening) {
  return is_a_share(row) ? signed_percent(worsening) : (worsening > 0 ? "+" : "") + format_number(worsening);
}

std::string interval_text(const NightRow& row) {
  if (!row.evidence) return "";
  return worsening_text(row, row.evidence->interval.low) + " … " + worsening_text(row, row.evidence->interval.high);
}

std::string table_of(const std::vector<const NightRow*>& rows) {
  std::vector<MarkdownColumn> columns = {
      {"model", false},   {"metric", false}, {"rule", false}, {"baseline"},       {"tonight"},    {"change"}, {"n"},
      {"worse by, 95 %"}, {"counts above"},  {"p, adjusted"}, {"verdict", false}, {"note", false}};
  for (const NightRow* row : rows) {
    const bool is_judged = row->status == RowStatus::kJudged, is_tested = row->evidence.has_value();
    const std::string verdict = verdict_text(*row);
    const std::string cells[] = {
        escape_markdown(row->subject),
        escape_markdown(row->metric + (row->unit.empty() ? "" : ", " + row->unit)),
        is_judged ? rule_name(row->rule) : "",
        row->status == RowStatus::kNew ? "" : format_number(row->base),
        row->status == RowStatus::kMissing ? "" : format_number(row->tonight),
        change_text(*row),
        is_judged ? std::to_string(row->n) : "",
        interval_text(*row),
        is_tested ? worsening_text(*row, row->evidence->threshold) : "",
        is_tested ? format_number(row->adjusted_p) : "",
        verdict == "ok" || verdict == "new" ? verdict : "**" + verdict + "**",
        escape_markdown(row->note),
    };
    for (size_t column = 0; column < columns.size(); ++column) columns[column].cells.push_back(cells[column]);
  }
  const bool has_notes = std::any_of(rows.begin(), rows.end(), [](const NightRow* row) { return !row->note.empty(); });
  if (!has_notes) columns.pop_back();
  return markdown_table(columns);
}

}  // namespace

std::string night_summary(const NightTable& table) {
  const auto count = [&](const auto& condition) {
    return std::count_if(table.rows.begin(), table.rows.end(), condition);
  };
  const auto of = [&](Verdict verdict) { return count([&](const NightRow& row) { return row.is(verdict); }); };
  std::vector<std::string> parts;
  if (const auto found = of(Verdict::kRegressed)) parts.push_back("**" + count_of(found, "regression") + "**");
  if (!table.failures.empty()) {
    parts.push_back("**" + count_of(static_cast<int64_t>(table.failures.size()), "cell") + " failed**");
  }
  const auto incomparable = count([](const NightRow& row) { return row.status == RowStatus::kNotComparable; });
  if (incomparable > 0) parts.push_back(std::to_string(incomparable) + " not comparable");
  const auto missing = count([](const NightRow& row) { return row.status == RowStatus::kMissing; });
  if (missing > 0) parts.push_back(std::to_string(missing) + " missing");
  if (const auto found = of(Verdict::kInconclusive)) parts.push_back(std::to_string(found) + " inconclusive");
  if (const auto found = of(Verdict::kImproved)) parts.push_back(std::to_string(found) + " improved");
  const auto fresh = count([](const NightRow& row) { return row.status == RowStatus::kNew; });
  if (fresh > 0) parts.push_back(std::to_string(fresh) + " new");
  parts.push_back(std::to_string(of(Verdict::kOk)) + " ok");
  return join(parts, ", ") + " of " + count_of(static_cast<int64_t>(table.rows.size()), "metric") + " against " +
         escape_markdown(table.baseline);
}

std::string render_night_markdown(const NightTable& table, const NightFooter& footer, bool is_collapsible) {
  std::string text = "### " + escape_markdown(table.title) + "\n\n" + night_summary(table) + ".\n\n";
  for (const std::string& failure : table.failures) text += "- failed: " + escape_markdown(failure) + "\n";
  if (!table.failures.empty()) text += "\n";
  std::vector<const NightRow*> all, loud;
  for (const NightRow& row : table.rows) {
    all.push_back(&row);
    if (!is_quiet(row)) loud.push_back(&row);
  }
  if (is_collapsible && !loud.empty()) text += table_of(loud) + "\n";
  if (is_collapsible)
    text += "<details><summary>All " + count_of(static_cast<int64_t>(all.size()), "metric") + "</summary>\n\n";
  text += table_of(all);
  if (is_collapsible) text += "\n</details>\n";
  text +=
      "\nCounters have to be equal. Quality is compared on the same items, times by ranks of their rounds; a change "
      "counts if it is larger than the column says and its p-value, adjusted for the number of tests, below 0.01.\n\n";
  text += "Machine: " + escape_markdown(footer.machine) + ". Build: " + escape_markdown(footer.build) + ". Made by `" +
          one_line(footer.command) + "`.\n";
  return text;
}

}  // namespace moebench
