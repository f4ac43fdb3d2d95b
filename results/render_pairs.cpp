#include "results/render_pairs.h"

#include <stdexcept>

#include "results/cell_text.h"
#include "results/csv_line.h"
#include "results/distinction.h"
#include "results/json_number.h"
#include "results/markdown_table.h"
#include "results/number_format.h"

namespace moebench {
namespace {

using OrderedJson = nlohmann::ordered_json;

const char* score_name(ItemScore score) { return score == ItemScore::kRight ? "right" : "nll"; }

std::string title_of(const Column& column) {
  return column.metric + (column.detail.empty() ? "" : " (" + column.detail + ")") + bracketed(column.distinction);
}

std::string interval_text(const Interval& interval) {
  return format_number(interval.low) + " to " + format_number(interval.high);
}

template <class Text>
MarkdownColumn column_of(const PairedTable& table, const std::string& title, bool is_number, const Text& text) {
  MarkdownColumn column{title, is_number, {}};
  for (const PairedRow& row : table.rows) column.cells.push_back(text(row));
  return column;
}

template <class Text>
MarkdownColumn mcnemar_column(const PairedTable& table, const std::string& title, const Text& text) {
  return column_of(table, title, true,
                   [&](const PairedRow& row) { return row.mcnemar ? text(*row.mcnemar) : std::string("–"); });
}

MarkdownColumn drift_column(const PairedTable& table, const std::string& title, double NllDrift::*of_drift) {
  return column_of(table, title, true, [of_drift](const PairedRow& row) {
    return row.drift ? format_number((*row.drift).*of_drift) : std::string("–");
  });
}

std::string markdown_rows(const PairedTable& table) {
  using Row = const PairedRow&;
  return markdown_table(
      {column_of(table, "metric", false, [](Row row) { return escape_markdown(title_of(row.column)); }),
       column_of(table, "score", false, [](Row row) { return std::string(score_name(row.score)); }),
       column_of(table, "items", true, [](Row row) { return std::to_string(row.difference.num_items); }),
       column_of(table, "clusters", true, [](Row row) { return std::to_string(row.difference.num_clusters); }),
       column_of(table, "base", true, [](Row row) { return format_number(row.base); }),
       column_of(table, "new", true, [](Row row) { return format_number(row.candidate); }),
       column_of(table, "new - base", true, [](Row row) { return format_number(row.difference.mean); }),
       column_of(table, "± (se)", true, [](Row row) { return format_number(row.difference.standard_error); }),
       column_of(table, "95 %", true, [](Row row) { return interval_text(row.difference.interval); }),
       column_of(table, "bootstrap 95 %", true, [](Row row) { return interval_text(row.bootstrap); }),
       mcnemar_column(table, "fixed", [](const McNemarTest& test) { return std::to_string(test.fixed); }),
       mcnemar_column(table, "broken", [](const McNemarTest& test) { return std::to_string(test.broken); }),
       mcnemar_column(table, "McNemar p", [](const McNemarTest& test) { return format_number(test.exact_p); }),
       column_of(table, "p", true, [](Row row) { return format_number(row.p_value); }),
       column_of(table, std::string("p, ") + adjustment_name(table.adjustment), true,
                 [](Row row) { return format_number(row.adjusted_p); }),
       column_of(
           table, "detectable", true,
           [](Row row) { return row.detectable_effect ? format_number(*row.detectable_effect) : std::string("–"); }),
       drift_column(table, "mean drift", &NllDrift::mean), drift_column(table, "largest drift", &NllDrift::largest)});
}

std::string side_text(const PairedSide& side) {
  std::string text = escape_markdown(side.title + " of " + side.model + " in " + side.dtype);
  if (!side.seed) return text + ", which has no seed";
  text += ", seed " + std::to_string(*side.seed);
  return side.seeds.size() > 1 ? text + " of " + join(side.seeds, ", ") + " (--seed takes another)" : text;
}

std::string adjustment_text(const PairedTable& table) {
  const std::string rows = std::to_string(table.rows.size()) + (table.rows.size() == 1 ? " test" : " tests");
  return table.adjustment == Adjustment::kHolm
             ? "holm bounds the chance of one false find among " + rows
             : "bh (Benjamini and Hochberg) bounds the expected share of false finds among " + rows;
}

std::string legend(const PairedTable& table) {
  std::string text = "- base: " + side_text(table.base) + "\n- new: " + side_text(table.candidate) + "\n";
  text +=
      "- right: the share of items that are right, more is better; nll: nats per token, or per word, byte or document "
      "where the metric is, less is better\n"
      "- one seed on the same items: how the seeds of a method differ is in `moebench report`\n"
      "- ± (se) is the standard error of the difference, of whole clusters (passages, subjects) where items have "
      "them; 95 % by Student's t, and by 10000 resamples\n"
      "- fixed and broken: items that only new, or only base, has right\n"
      "- p is McNemar's exact one where single items are right or wrong, else that of the t; ";
  text += adjustment_text(table) +
          "\n- detectable: the smallest true difference that such a test finds in 80 % of cases at 5 %\n"
          "- drift: how far an item's log-likelihood moved, whichever way, in nats; of multiple choice the right "
          "answer's\n";
  for (const std::string& note : table.notes) text += "- " + escape_markdown(note) + "\n";
  return text;
}

// What tells the two apart: where it is not the rows themselves, their models and data types.
std::string heading(const PairedTable& table) {
  const auto text = [&](const PairedSide& side) {
    return side.title + (table.base.title == table.candidate.title ? " of " + side.model + " in " + side.dtype : "");
  };
  return text(table.candidate) + " against " + text(table.base);
}

std::string render_as_markdown(const PairedTable& table, const ReportOptions& options) {
  std::string text = "### " + escape_markdown(heading(table)) + "\n\n" + markdown_rows(table) + "\n" + legend(table);
  if (!options.command.empty()) text += "\nMade by\n\n    " + one_line(options.command) + "\n";
  return text;
}

const std::vector<std::string> kPairFields = {
    "base",       "base_model",     "base_seed",     "new",  "new_model",     "new_seed",       "metric",
    "task",       "task_options",   "score",         "n",    "clusters",      "base_value",     "new_value",
    "difference", "standard_error", "low",           "high", "bootstrap_low", "bootstrap_high", "fixed",
    "broken",     "mcnemar_p",      "mcnemar_mid_p", "p",    "adjustment",    "adjusted_p",     "detectable",
    "mean_drift", "largest_drift"};

std::string seed_text(const PairedSide& side) { return side.seed ? std::to_string(*side.seed) : ""; }

std::string csv_row(const PairedTable& table, const PairedRow& row) {
  const PairedDifference& difference = row.difference;
  const auto of_drift = [&](double NllDrift::*read) { return row.drift ? exact((*row.drift).*read) : std::string(); };
  const auto of_test = [&](auto read) { return row.mcnemar ? read(*row.mcnemar) : std::string(); };
  return csv_line({table.base.title,
                   table.base.model,
                   seed_text(table.base),
                   table.candidate.title,
                   table.candidate.model,
                   seed_text(table.candidate),
                   row.column.metric,
                   row.column.task,
                   row.column.task_options.dump(),
                   score_name(row.score),
                   std::to_string(difference.num_items),
                   std::to_string(difference.num_clusters),
                   exact(row.base),
                   exact(row.candidate),
                   exact(difference.mean),
                   exact(difference.standard_error),
                   exact(difference.interval.low),
                   exact(difference.interval.high),
                   exact(row.bootstrap.low),
                   exact(row.bootstrap.high),
                   of_test([](const McNemarTest& test) { return std::to_string(test.fixed); }),
                   of_test([](const McNemarTest& test) { return std::to_string(test.broken); }),
                   of_test([](const McNemarTest& test) { return exact(test.exact_p); }),
                   of_test([](const McNemarTest& test) { return exact(test.mid_p); }),
                   exact(row.p_value),
                   adjustment_name(table.adjustment),
                   exact(row.adjusted_p),
                   exact(row.detectable_effect),
                   of_drift(&NllDrift::mean),
                   of_drift(&NllDrift::largest)});
}

std::string render_as_csv(const PairedTable& table) {
  std::string csv = csv_line(kPairFields);
  for (const PairedRow& row : table.rows) csv += csv_row(table, row);
  return csv;
}

OrderedJson to_json(const PairedSide& side) {
  return {{"row", side.title},
          {"model", side.model},
          {"dtype", side.dtype},
          {"seed", side.seed ? OrderedJson(*side.seed) : OrderedJson()},
          {"seeds", side.seeds}};
}

OrderedJson to_json(const Interval& interval) {
  return OrderedJson::array({json_number(interval.low), json_number(interval.high)});
}

OrderedJson to_json(const std::optional<McNemarTest>& test) {
  if (!test) return nullptr;
  return {{"fixed", test->fixed}, {"broken", test->broken}, {"exact_p", test->exact_p}, {"mid_p", test->mid_p}};
}

OrderedJson to_json(const std::optional<NllDrift>& drift) {
  if (!drift) return nullptr;
  return {{"mean", json_number(drift->mean)}, {"largest", json_number(drift->largest)}};
}

OrderedJson to_json(const PairedRow& row) {
  const PairedDifference& difference = row.difference;
  return {{"metric", row.column.metric},
          {"task", row.column.task},
          {"task_options", OrderedJson(row.column.task_options)},
          {"distinction", row.column.distinction},
          {"score", score_name(row.score)},
          {"better", row.score == ItemScore::kRight ? "higher" : "lower"},
          {"n", difference.num_items},
          {"clusters", difference.num_clusters},
          {"base", json_number(row.base)},
          {"new", json_number(row.candidate)},
          {"difference", json_number(difference.mean)},
          {"standard_error", json_number(difference.standard_error)},
          {"interval", to_json(difference.interval)},
          {"bootstrap_interval", to_json(row.bootstrap)},
          {"mcnemar", to_json(row.mcnemar)},
          {"p", json_number(row.p_value)},
          {"adjusted_p", json_number(row.adjusted_p)},
          {"detectable", json_number(row.detectable_effect)},
          {"drift", to_json(row.drift)}};
}

std::string render_as_json(const PairedTable& table, const ReportOptions& options) {
  OrderedJson json = {{"schema", "moebench/1"},          {"kind", "paired_comparison"},
                      {"command", options.command},      {"base", to_json(table.base)},
                      {"new", to_json(table.candidate)}, {"adjustment", adjustment_name(table.adjustment)},
                      {"rows", OrderedJson::array()},    {"notes", table.notes}};
  for (const PairedRow& row : table.rows) json["rows"].push_back(to_json(row));
  return json.dump(2, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

}  // namespace

ReportFormat parse_pairs_format(const std::string& name) {
  if (name == "markdown") return ReportFormat::kMarkdown;
  if (name == "csv") return ReportFormat::kCsv;
  if (name == "json") return ReportFormat::kJson;
  throw std::invalid_argument("compare: unknown format '" + name + "'; known: csv json markdown");
}

std::string render_pairs(const PairedTable& table, ReportFormat format, const ReportOptions& options) {
  switch (format) {
    case ReportFormat::kCsv:
      return render_as_csv(table);
    case ReportFormat::kJson:
      return render_as_json(table, options);
    default:
      return render_as_markdown(table, options);
  }
}

}  // namespace moebench
