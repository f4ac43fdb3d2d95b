// What tells apart rows, or columns, that a table would otherwise call the same.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace moebench {

struct Named {
  std::string label;
  nlohmann::json identity;  // an object; empty if it is not known
};

// Where things of one label stand.
std::map<std::string, std::vector<size_t>> places_by_label(const std::vector<Named>& things);

// Of each the fields of its identity in which those of its label differ: "model.weights 3f2a91c0d1e2…, version 1"; ""
// where there are none.
std::vector<std::string> distinctions(const std::vector<Named>& things);

// How a field of a flattened identity is told to people: "/model/weights" is "model.weights", a hash is cut short.
std::string field_name(const std::string& pointer);
std::string shown_value(const nlohmann::json& value);

// " [version 1]"; "" for "".
std::string bracketed(const std::string& distinction);

}  // namespace moebench
