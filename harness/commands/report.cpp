// moebench report: the comparison table and the figures of a database.
#include <sys/ioctl.h>
#include <unistd.h>
#include <cstdlib>
#include <memory>

#include "harness/atomic_file.h"
#include "harness/commands/command_line.h"
#include "harness/commands/commands.h"
#include "harness/commands/output_file.h"
#include "harness/error.h"
#include "results/chart_svg.h"
#include "results/comparison.h"
#include "results/figures.h"
#include "results/history_charts.h"
#include "results/render.h"

namespace moebench {
namespace {

struct ReportArguments {
  std::string database;
  std::string format = "markdown";
  std::string output;   // "" = stdout
  std::string figures;  // a folder; "" = none
  bool with_published = false;
};

// 0 where there is no window: a file or a pipe gets lines as long as they are.
size_t window_width() {
  winsize size{};
  return isatty(STDOUT_FILENO) == 1 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

bool wants_colour() {
  const char* refused = std::getenv("NO_COLOR");
  return isatty(STDOUT_FILENO) == 1 && (refused == nullptr || refused[0] == '\0');
}

ReportOptions options_of(const ReportArguments& arguments) {
  ReportOptions options{.command = this_command_line(), .with_published = arguments.with_published};
  if (arguments.output.empty()) {
    options.width = window_width();
    options.with_colour = wants_colour();
  }
  return options;
}

// Every figure as a file of its own, named as in the page: pareto-1.svg.
void write_figures(const ResultStore& store, const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw TryAgainError("--figures " + folder.string() + ": cannot be made (" + error.message() + ")");
  const std::vector<RunRecord> runs = store.runs();
  for (const FigureSection& section : draw_figures(compare_runs(runs), history_charts(runs))) {
    for (const Figure& figure : section.figures) {
      AtomicFile file(folder / (figure.name + ".svg"));
      file.write(standalone_svg(figure.svg));
      file.commit();
    }
  }
}

int report(const ReportArguments& arguments) {
  const ReportFormat format = parse_report_format(arguments.format);
  refuse_to_replace(arguments.database, "--output", arguments.output);
  const ResultStore store(arguments.database, ResultStore::Mode::kReadOnly);
  write_output(arguments.output, [&](const TextSink& write) { render(store, format, options_of(arguments), write); });
  if (!arguments.figures.empty()) write_figures(store, arguments.figures);
  return 0;
}

}  // namespace

std::function<int()> define_report(CLI::App& command) {
  auto arguments = std::make_shared<ReportArguments>();
  command.add_option("--db", arguments->database, "results database")->required()->type_name("FILE");
  command
      .add_option(
          "--format", arguments->format,
          "markdown; terminal (as wide as the window); html (one page with figures, sortable, nothing to load); "
          "latex (booktabs); csv (a line for each row and metric); csv-wide (a line for each row); json")
      ->capture_default_str();
  command.add_option("--output", arguments->output, "file to write (default: stdout)")->type_name("FILE");
  command.add_option("--figures", arguments->figures, "also write every figure as SVG into this folder")
      ->type_name("FOLDER");
  command.add_flag("--published", arguments->with_published,
                   "also show numbers that papers publish: apart, marked, with their sources");
  command.footer(
      "  moebench report --db quickstart.sqlite --format terminal\n"
      "  moebench report --db quickstart.sqlite --format html --output report.html");
  return [arguments] { return report(*arguments); };
}

}  // namespace moebench
