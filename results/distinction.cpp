#include "results/distinction.h"

#include <algorithm>
#include <set>

namespace moebench {
namespace {

using Json = nlohmann::json;

constexpr size_t kHashSize = 64, kShownHash = 12;

}  // namespace

std::string shown_value(const Json& value) {
  if (!value.is_string()) return value.dump();
  const std::string text = value.get<std::string>();
  return text.size() == kHashSize ? text.substr(0, kShownHash) + "…" : text;
}

std::string field_name(const std::string& pointer) {
  std::string name = pointer.substr(1);
  std::replace(name.begin(), name.end(), '/', '.');
  return name;
}

std::map<std::string, std::vector<size_t>> places_by_label(const std::vector<Named>& things) {
  std::map<std::string, std::vector<size_t>> places;
  for (size_t place = 0; place < things.size(); ++place) places[things[place].label].push_back(place);
  return places;
}

std::vector<std::string> distinctions(const std::vector<Named>& things) {
  std::vector<Json> fields;
  for (const Named& thing : things)
    fields.push_back(thing.identity.empty() ? Json::object() : thing.identity.flatten());
  std::vector<std::string> texts(things.size());
  for (const auto& [label, places] : places_by_label(things)) {
    for (const size_t one : places) {
      std::set<std::string> differing;
      for (const size_t other : places) {
        for (const auto& [field, value] : fields[one].items()) {
          if (!fields[other].contains(field) || fields[other].at(field) != value) differing.insert(field);
        }
      }
      for (const std::string& field : differing) {
        texts[one] += (texts[one].empty() ? "" : ", ") + field_name(field) + " " + shown_value(fields[one].at(field));
      }
    }
  }
  return texts;
}

std::string bracketed(const std::string& distinction) {
  return distinction.empty() ? distinction : " [" + distinction + "]";
}

}  // namespace moebench
