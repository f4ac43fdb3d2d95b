#include "harness/commands/program.h"

int main(int argument_count, char** arguments) { return moebench::run_program(argument_count, arguments); }
