#include "harness/commands/program.h"

#include <algorithm>
#include <climits>
#include <csignal>
#include <cstdio>
#include <exception>
#include <string>
#include <system_error>
#include <thread>

#include <ATen/Parallel.h>

#include "harness/build_info.h"
#include "harness/commands/commands.h"
#include "harness/error.h"
#include "harness/interrupt.h"
#include "harness/options.h"

namespace moebench {
namespace {

int complain(const std::string& message, int exit_code) {
  // c10 and others append backtraces: the first line is the sentence. It may quote names out of files that others
  // wrote, which must not command the terminal.
  std::string sentence = message.substr(0, message.find('\n'));
  const auto is_control = [](unsigned char byte) { return byte < 0x20 || byte == 0x7F; };
  std::replace_if(sentence.begin(), sentence.end(), is_control, '?');
  std::fprintf(stderr, "moebench: %s\n", sentence.c_str());
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

// More than there are cores only wait for one another.
void use_threads(int threads) {
  const auto cores = static_cast<int64_t>(std::thread::hardware_concurrency());  // that this process may use
  if (cores > 0 && threads > cores) {
    throw std::invalid_argument("--threads " + std::to_string(threads) + ": there are " + std::to_string(cores) +
                                " cores here; choose 1 to " + std::to_string(cores) + ", or leave it out to use all");
  }
  at::set_num_threads(threads);
}

// A full disk shows in the midst of long output, or only when it is flushed.
int with_written_output(const std::function<int()>& action) {
  const auto refuse = [] {
    throw TryAgainError("the output cannot be written; free some disk space and run the command again");
  };
  int exit_code = 0;
  try {
    exit_code = action();
  } catch (const std::system_error&) {
    if (std::ferror(stdout) != 0) refuse();
    throw;
  }
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) refuse();
  return exit_code;
}

// What was wrong with the command line, in one sentence.
std::string explanation(const CLI::App& program, const CLI::ParseError& error) {
  std::string name = program.get_name();
  const CLI::App* chosen = &program;
  while (!chosen->get_subcommands().empty()) {
    chosen = chosen->get_subcommands().front();
    name += " " + chosen->get_name();
  }
  std::vector<std::string> options;
  for (const CLI::Option* option : chosen->get_options()) {
    if (option->get_group().empty()) continue;  // hidden
    for (const std::string& long_name : option->get_lnames()) options.push_back("--" + long_name);
  }
  const std::vector<std::string> left = program.remaining(true);
  const auto unknown =
      std::find_if(left.begin(), left.end(), [](const std::string& argument) { return argument.starts_with("--"); });
  const std::string why = unknown == left.end()
                              ? error.what()
                              : unknown_name_message("option", unknown->substr(0, unknown->find('=')), options);
  return why + "; see " + name + " --help";
}

int parse_and_run(int argument_count, char** arguments) {
  check_command_name(argument_count, arguments);
  CLI::App program("Turns dense language models into mixtures of experts, measures them and compares.", "moebench");
  program.set_version_flag("--version", version_text());
  program.require_subcommand(1);
  program.fallthrough();
  int threads = 0;
  program
      .add_option("--threads", threads,
                  "CPU threads to compute with, not more than there are cores (default: all cores)")
      ->check(CLI::Range(1, INT_MAX));

  std::function<int()> action;
  for (const Command& command : commands()) {
    CLI::App* subcommand = program.add_subcommand(command.name, command.summary);
    subcommand->callback([&action, run = command.define(*subcommand)] { action = run; });
  }
  try {
    program.parse(argument_count, arguments);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return program.exit(error);
    return complain(explanation(program, error), kUsage);
  }
  if (threads > 0) use_threads(threads);
  return with_written_output(action);
}

}  // namespace

int run_program(int argument_count, char** arguments) {
  std::signal(SIGXFSZ, SIG_IGN);  // a file over its size limit is a write that fails, and is reported as one
  return run_and_explain([&] { return parse_and_run(argument_count, arguments); });
}

}  // namespace moebench
