// The command line as a whole: global options, the chosen subcommand, exit codes.
#pragma once

namespace moebench {

// Exit codes beside 0, and beside those of an interruption.
inline constexpr int kUsage = 2, kRunFailed = 4, kTryAgain = 75;

// Parses and runs; never throws. Results go to stdout, everything else to stderr; an error is one sentence there.
int run_program(int argument_count, char** arguments);

}  // namespace moebench
