// moebench db: care of results databases.
#include <cstdio>
#include <memory>

#include <fmt/format.h>

#include "harness/atomic_file.h"
#include "harness/commands/commands.h"
#include "harness/commands/output_file.h"
#include "results/database_check.h"
#include "results/database_export.h"
#include "results/database_merge.h"
#include "results/open_results.h"

namespace moebench {
namespace {

namespace fs = std::filesystem;

constexpr int kUnusable = 2;

struct DatabaseArguments {
  std::string database;
  std::vector<std::string> shards;
  std::string format = "jsonl", output;
};

int check(const DatabaseArguments& arguments) {
  const Database database = open_results(arguments.database, OpenMode::kReadOnly);
  const DatabaseCheck found = check_database(database);
  for (const std::string& problem : found.problems) fmt::print("problem: {}\n", problem);
  if (!found.problems.empty()) {
    fmt::print(stderr, "moebench: {}: the results database is damaged; restore a copy\n", arguments.database);
    return kUnusable;
  }
  fmt::print("schema version {}; {} runs, {} of them failed; {} items; {} baselines\n", found.schema_version,
             found.runs, found.failed_runs, found.items, found.baselines);
  for (const std::string& note : found.notes) fmt::print("note: {}\n", note);
  fmt::print("ok; content {}\n", found.content_hash);
  return 0;
}

void refuse_itself(const DatabaseArguments& arguments) {
  for (const std::string& shard : arguments.shards) {
    std::error_code ignored;
    if (!fs::equivalent(shard, arguments.database, ignored)) continue;
    throw std::invalid_argument("--into " + arguments.database +
                                ": is one of the databases that are merged; name another");
  }
}

int merge(const DatabaseArguments& arguments) {
  refuse_itself(arguments);
  std::vector<Database> sources;
  for (const std::string& shard : arguments.shards) sources.push_back(open_results(shard, OpenMode::kReadOnly));
  const Database target = open_results(arguments.database, OpenMode::kReadWrite);
  MergeReport report;
  Transaction transaction(target, Transaction::Kind::kWrite);  // all shards or none
  for (const Database& source : sources) merge_into(target, source, report);
  transaction.commit();
  for (const std::string& conflict : report.conflicts) fmt::print("conflict: {}\n", conflict);
  fmt::print("{} runs added, {} known, {} failed ones superseded, {} conflicts\nok; content {}\n", report.added,
             report.known, report.superseded, report.conflicts.size(), database_content_hash(target));
  return 0;
}

int export_database(const DatabaseArguments& arguments) {
  refuse_to_replace(arguments.database, "--output", arguments.output);
  const auto write_all = arguments.format == "csv" ? export_csv : export_json_lines;
  const Database database = open_results(arguments.database, OpenMode::kReadOnly);
  if (arguments.output.empty()) {
    write_all(database, [](const std::string& line) { std::fwrite(line.data(), 1, line.size(), stdout); });
    return 0;
  }
  AtomicFile file(arguments.output);
  write_all(database, [&](const std::string& line) { file.write(line); });
  file.commit();
  return 0;
}

int migrate_database(const DatabaseArguments& arguments) {
  if (!fs::exists(arguments.database)) open_results(arguments.database, OpenMode::kReadOnly);  // says so
  const int64_t before =
      Database(arguments.database, OpenMode::kReadOnly, std::chrono::seconds(30)).integer("PRAGMA user_version");
  const Database database = open_results(arguments.database, OpenMode::kReadWrite);
  fmt::print("schema version {} before, {} now\n", before, database.integer("PRAGMA user_version"));
  return 0;
}

}  // namespace

std::function<int()> define_db(CLI::App& command) {
  auto arguments = std::make_shared<DatabaseArguments>();
  auto action = std::make_shared<int (*)(const DatabaseArguments&)>(nullptr);
  command.require_subcommand(1);
  const auto add = [&](const char* name, const char* summary, const char* database_option,
                       int (*run)(const DatabaseArguments&)) {
    CLI::App* subcommand = command.add_subcommand(name, summary);
    subcommand->add_option(database_option, arguments->database, "results database")->required()->type_name("FILE");
    subcommand->callback([action, run] { *action = run; });
    return subcommand;
  };
  add("check", "is it whole? integrity, references, and a hash of its content", "--db", check);
  CLI::App* merge_command =
      add("merge", "add the results of others; in any order, as often as you like", "--into", merge);
  merge_command->add_option("shards", arguments->shards, "the databases that are read")->required()->type_name("SHARD");
  CLI::App* export_command =
      add("export", "all that it says, a line a run or a line a metric", "--db", export_database);
  export_command->add_option("--format", arguments->format, "jsonl: everything; csv: metrics only")
      ->check(CLI::IsMember({"jsonl", "csv"}))
      ->capture_default_str();
  export_command->add_option("--output", arguments->output, "file to write (default: stdout)");
  add("migrate", "bring it to this program's schema, keeping every row", "--db", migrate_database);
  command.footer(
      "Exit code: 0 ok, 2 damaged, of another program or of a newer version, 75 locked, read-only or a full disk.\n"
      "The content's hash is that of the exported lines; databases with the same results have the same.\n\n"
      "  moebench db check --db sweep.sqlite\n"
      "  moebench db merge shard-1.sqlite shard-2.sqlite --into sweep.sqlite\n"
      "  moebench db export --db sweep.sqlite | sha256sum\n"
      "  moebench db export --db sweep.sqlite --format csv --output sweep.csv\n"
      "  moebench db migrate --db old.sqlite");
  return [arguments, action] { return (*action)(*arguments); };
}

}  // namespace moebench
