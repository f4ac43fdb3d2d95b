#include "harness/checkpoint/untrusted_json.h"

#include <set>
#include <stdexcept>
#include <vector>

#include "harness/checkpoint/mapped_file.h"

namespace moebench {
namespace {

constexpr int kMaxDepth = 64;

// Sees every parse event: the keys of the objects that are open, to notice one that comes twice.
class DuplicateKeyCheck {
 public:
  explicit DuplicateKeyCheck(const std::string& subject) : subject_(subject) {}

  bool operator()(int depth, nlohmann::json::parse_event_t event, const nlohmann::json& value) {
    using Event = nlohmann::json::parse_event_t;
    if (depth > kMaxDepth) throw std::runtime_error(subject_ + ": JSON is nested too deep");
    if (event == Event::object_start) keys_.emplace_back();
    if (event == Event::object_end) keys_.pop_back();
    if (event == Event::key && !keys_.back().insert(value.get_ref<const std::string&>()).second) {
      throw std::runtime_error(subject_ + ": key " + value.dump() + " occurs twice");
    }
    return true;
  }

 private:
  const std::string& subject_;
  std::vector<std::set<std::string>> keys_;
};

}  // namespace

nlohmann::json parse_json_object(std::string_view text, const std::string& subject) {
  nlohmann::json json;
  try {
    json = nlohmann::json::parse(text.begin(), text.end(), DuplicateKeyCheck(subject));
  } catch (const nlohmann::json::parse_error& error) {
    throw std::runtime_error(subject + ": is not JSON in UTF-8 (at byte " + std::to_string(error.byte) +
                             "); incomplete download?");
  } catch (const nlohmann::json::exception&) {  // a number that no type holds
    throw std::runtime_error(subject + ": holds a JSON value that is out of range");
  }
  if (!json.is_object()) throw std::runtime_error(subject + ": is not a JSON object");
  return json;
}

nlohmann::json read_json_object(const std::filesystem::path& path) {
  const MappedFile file(path);
  return parse_json_object(file.bytes(), path.string());
}

}  // namespace moebench
