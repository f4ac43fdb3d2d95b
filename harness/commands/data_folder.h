// --data: where texts and task data lie.
#pragma once

#include <string>

#include <CLI/CLI.hpp>

namespace moebench {

void add_data_option(CLI::App& command, std::string& folder);

// Makes it the folder in which texts are found by name; "" changes nothing. Throws std::invalid_argument if it is none.
void use_data_folder(const std::string& folder);

}  // namespace moebench
