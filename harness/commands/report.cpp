// moebench report: the comparison table of a database.
#include <memory>

#include "harness/commands/command_line.h"
#include "harness/commands/commands.h"
#include "harness/commands/output_file.h"
#include "results/render.h"

namespace moebench {
namespace {

struct Arguments {
  std::string database;
  std::string format = "markdown";
  std::string output;  // "" = stdout
};

int report(const Arguments& arguments) {
  const ReportFormat format = parse_report_format(arguments.format);
  refuse_to_replace(arguments.database, "--output", arguments.output);
  const ResultStore store(arguments.database, ResultStore::Mode::kReadOnly);
  write_output(arguments.output, render(store, format, {.command = this_command_line()}));
  return 0;
}

}  // namespace

std::function<int()> define_report(CLI::App& command) {
  auto arguments = std::make_shared<Arguments>();
  command.add_option("--db", arguments->database, "results database")->required();
  command.add_option("--format", arguments->format, "markdown, csv or json")->capture_default_str();
  command.add_option("--output", arguments->output, "file to write (default: stdout)");
  return [arguments] { return report(*arguments); };
}

}  // namespace moebench
