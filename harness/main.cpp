#include "harness/commands/program.h"
#include "harness/model/allocation.h"

int main(int argument_count, char** arguments) {
  moebench::keep_freed_memory();
  return moebench::run_program(argument_count, arguments);
}
