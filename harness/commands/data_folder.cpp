#include "harness/commands/data_folder.h"

#include <cstdlib>
#include <filesystem>
#include <stdexcept>

namespace moebench {

void add_data_option(CLI::App& command, std::string& folder) {
  command.add_option("--data", folder, "folder with texts and task data, searched before the cache")
      ->type_name("FOLDER");
}

void use_data_folder(const std::string& folder) {
  if (folder.empty()) return;
  std::error_code ignored;
  if (!std::filesystem::is_directory(folder, ignored))
    throw std::invalid_argument("--data " + folder + " is not a folder");
  setenv("MOEBENCH_DATA", folder.c_str(), 1);
}

}  // namespace moebench
