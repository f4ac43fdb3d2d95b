// moebench compare: two rows of a database on the same items.
#include <memory>

#include "harness/commands/command_line.h"
#include "harness/commands/commands.h"
#include "harness/commands/output_file.h"
#include "results/render_pairs.h"

namespace moebench {
namespace {

struct Arguments {
  std::string database;
  PairedRequest rows;
  std::string adjustment = "holm", format = "markdown";
  std::string output;  // "" = stdout
};

int compare(Arguments arguments) {
  const ReportFormat format = parse_pairs_format(arguments.format);
  arguments.rows.adjustment = parse_adjustment(arguments.adjustment);
  refuse_to_replace(arguments.database, "--output", arguments.output);
  const ResultStore store(arguments.database, ResultStore::Mode::kReadOnly);
  const PairedTable table = compare_pairs(store, arguments.rows);
  write_output(arguments.output, render_pairs(table, format, {.command = this_command_line()}));
  return 0;
}

}  // namespace

std::function<int()> define_compare(CLI::App& command) {
  auto arguments = std::make_shared<Arguments>();
  command.add_option("--db", arguments->database, "results database")->required();
  command
      .add_option("base", arguments->rows.base,
                  "what is compared with: a method, narrowed where several rows are of it by shape, model, dtype, "
                  "option=value, oracle or retrained=TOKENS; or a measurement's uuid")
      ->required()
      ->type_name("BASE");
  command.add_option("new", arguments->rows.candidate, "what is compared, likewise")->required()->type_name("NEW");
  command.add_option("--seed", arguments->rows.seed, "of both (default: the lowest that both have)");
  command
      .add_option("--adjust", arguments->adjustment,
                  "p-values for the number of tests: holm for a few decided beforehand, bh to look through many")
      ->capture_default_str();
  command.add_option("--format", arguments->format, "markdown, csv or json")->capture_default_str();
  command.add_option("--output", arguments->output, "file to write (default: stdout)");
  command.footer(
      "Compares item by item (documents of lm_eval, windows of perplexity), so that far smaller differences show than "
      "between two standard errors.\n\n"
      "  moebench compare --db quickstart.sqlite dense cmoe\n"
      "  moebench compare --db sweep.sqlite cmoe:S3A3E8 llama_moe:S0A6E8 --seed 1 --adjust bh --format csv\n"
      "  moebench compare --db sweep.sqlite cmoe:S3A3E8 cmoe:S3A3E8:retrained=1000000");
  return [arguments] { return compare(*arguments); };
}

}  // namespace moebench
