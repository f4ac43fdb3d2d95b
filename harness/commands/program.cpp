#include "harness/commands/program.h"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

#include <ATen/Parallel.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include "harness/build_info.h"
#include "harness/commands/commands.h"
#include "harness/error.h"
#include "harness/interrupt.h"
#include "harness/options.h"

namespace moebench {
namespace {

constexpr int kUsage = 2, kRunFailed = 4, kTryAgain = 75;

void log_to_stderr() {
  auto sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
  const char* no_color = std::getenv("NO_COLOR");
  if (no_color != nullptr && *no_color != '\0') sink->set_color_mode(spdlog::color_mode::never);
  auto logger = std::make_shared<spdlog::logger>("moebench", sink);
  logger->set_pattern("%^%l%$: %v");
  spdlog::set_default_logger(logger);
}

int complain(const std::string& message, int exit_code) {
  // c10 and others append backtraces: the first line is the sentence.
  std::fprintf(stderr, "moebench: %s\n", message.substr(0, message.find('\n')).c_str());
  return exit_code;
}

int run_and_explain(const std::function<int()>& action) {
  try {
    return action();
  } catch (const Interrupted& interruption) {
    return interruption.exit_code();
  } catch (const TryAgainError& error) {
    return complain(error.what(), kTryAgain);
  } catch (const std::invalid_argument& error) {
    return complain(error.what(), kUsage);
  } catch (const std::runtime_error& error) {
    return complain(error.what(), kUsage);
  } catch (const std::bad_alloc&) {
    return complain("not enough memory; use a smaller window or fewer windows, or a bfloat16 model", kRunFailed);
  } catch (const std::exception& error) {
    return complain(error.what(), kRunFailed);
  }
}

void check_command_name(int argument_count, char** arguments) {
  if (argument_count < 2 || arguments[1][0] == '-') return;
  std::vector<std::string> names;
  for (const Command& command : commands()) names.push_back(command.name);
  if (std::find(names.begin(), names.end(), arguments[1]) != names.end()) return;
  throw std::invalid_argument(unknown_name_message("command", arguments[1], names));
}

int parse_and_run(int argument_count, char** arguments) {
  check_command_name(argument_count, arguments);
  CLI::App program("Turns dense language models into mixtures of experts, measures them and compares.", "moebench");
  program.set_version_flag("--version", version_text());
  program.require_subcommand(1);
  program.fallthrough();
  int threads = 0;
  program.add_option("--threads", threads, "CPU threads to compute with (default: all cores)")
      ->check(CLI::Range(1, 4096));

  std::function<int()> action;
  for (const Command& command : commands()) {
    CLI::App* subcommand = program.add_subcommand(command.name, command.summary);
    subcommand->callback([&action, run = command.define(*subcommand)] { action = run; });
  }
  try {
    program.parse(argument_count, arguments);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return program.exit(error);
    const auto chosen = program.get_subcommands();
    const std::string name = chosen.empty() ? "moebench" : "moebench " + chosen.front()->get_name();
    return complain(std::string(error.what()) + "; see " + name + " --help", kUsage);
  }
  if (threads > 0) at::set_num_threads(threads);
  const int exit_code = action();
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    throw TryAgainError("the output cannot be written; free some disk space and run the command again");
  }
  return exit_code;
}

}  // namespace

int run_program(int argument_count, char** arguments) {
  std::signal(SIGXFSZ, SIG_IGN);  // a file over its size limit is a write that fails, and is reported as one
  log_to_stderr();
  return run_and_explain([&] { return parse_and_run(argument_count, arguments); });
}

}  // namespace moebench
