// JSON from files that others wrote.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace moebench {

// Throws std::runtime_error beginning with subject: text is not a JSON object, a key occurs twice in one object (which
// nlohmann's parser would pass over), or it is nested absurdly deep.
nlohmann::json parse_json_object(std::string_view text, const std::string& subject);

// Throws as above, naming the path; also if the file cannot be read.
nlohmann::json read_json_object(const std::filesystem::path& path);

}  // namespace moebench
