// Runs the real program as a user would.
#pragma once

#include <sys/wait.h>
#include <unistd.h>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace moebench {

struct ProgramResult {
  int exit_code = -1;  // as a shell shows it: 128 + signal if it was killed
  std::string output;  // stdout
  std::string errors;  // stderr
};

// Starts MOEBENCH_PROGRAM with input as its stdin and output going to files in folder, which must exist and is its
// current folder. Returns the process id.
inline pid_t start_program(const std::filesystem::path& folder, const std::vector<std::string>& arguments,
                           const std::string& input = "") {
  std::ofstream(folder / "stdin.txt", std::ios::binary) << input;
  const std::string program = MOEBENCH_PROGRAM;
  std::vector<char*> raw = {const_cast<char*>(program.c_str())};
  for (const std::string& argument : arguments) raw.push_back(const_cast<char*>(argument.c_str()));
  raw.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    const bool redirected = chdir(folder.c_str()) == 0 && std::freopen("stdin.txt", "r", stdin) != nullptr &&
                            std::freopen("stdout.txt", "w", stdout) != nullptr &&
                            std::freopen("stderr.txt", "w", stderr) != nullptr;
    if (redirected) execv(program.c_str(), raw.data());
    _exit(127);
  }
  return child;
}

inline ProgramResult finish_program(const std::filesystem::path& folder, pid_t child) {
  int status = 0;
  waitpid(child, &status, 0);
  const auto read = [&](const char* name) {
    std::ifstream file(folder / name, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  return {WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status), read("stdout.txt"), read("stderr.txt")};
}

inline ProgramResult run_program(const std::filesystem::path& folder, const std::vector<std::string>& arguments,
                                 const std::string& input = "") {
  return finish_program(folder, start_program(folder, arguments, input));
}

}  // namespace moebench
