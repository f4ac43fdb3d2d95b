// The command line as a whole: global options, the chosen subcommand, exit codes.
#pragma once

namespace moebench {

// Parses and runs; never throws. Results go to stdout, everything else to stderr; an error is one sentence there.
int run_program(int argument_count, char** arguments);

}  // namespace moebench
