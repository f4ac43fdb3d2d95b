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

std::vector<std::string> distinctions(const std::vector<Named>& things) {
  std::vector<Json> fields;
  for (const Named& thing : things)
    fields.push_back(thing.identity.empty() ? Json::object() : thing.identity.flatten());
  std::vector<std::string> texts;
  for (size_t one = 0; one < things.size(); ++one) {
    std::set<std::string> differing;
    for (size_t other = 0; other < things.size(); ++other) {
      if (other == one || things[other].label != things[one].label) continue;
      for (const auto& [field, value] : fields[one].items()) {
        if (!fields[other].contains(field) || fields[other].at(field) != value) differing.insert(field);
      }
    }
    std::string text;
    for (const std::string& field : differing) {
      text += (text.empty() ? "" : ", ") + field_name(field) + " " + shown_value(fields[one].at(field));
    }
    texts.push_back(text);
  }
  return texts;
}

std::string bracketed(const std::string& distinction) {
  return distinction.empty() ? distinction : " [" + distinction + "]";
}

}  // namespace moebench
