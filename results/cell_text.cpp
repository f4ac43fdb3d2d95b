#include "results/cell_text.h"

#include <algorithm>

namespace moebench {

const char* status_name(CellStatus status) {
  switch (status) {
    case CellStatus::kValue:
      return "value";
    case CellStatus::kFailed:
      return "failed";
    case CellStatus::kNotRun:
      return "not_run";
    case CellStatus::kNotApplicable:
      break;
  }
  return "not_applicable";
}

const char* rank_name(Rank rank) {
  switch (rank) {
    case Rank::kBest:
      return "best";
    case Rank::kSecond:
      return "second";
    case Rank::kNone:
      break;
  }
  return "";
}

const char* kind_name(RowKind kind) {
  switch (kind) {
    case RowKind::kDense:
      return "dense";
    case RowKind::kControl:
      return "control";
    case RowKind::kBound:
      return "bound";
    case RowKind::kMethod:
      break;
  }
  return "method";
}

const char* direction_name(Direction direction) {
  switch (direction) {
    case Direction::kLowerIsBetter:
      return "lower";
    case Direction::kHigherIsBetter:
      return "higher";
    case Direction::kNeither:
      break;
  }
  return "neither";
}

std::string one_line(std::string_view text) {
  // Nearly all that is shown; a report has millions of them.
  const bool is_plain = std::all_of(text.begin(), text.end(), [](char byte) { return byte >= 0x20 && byte < 0x7f; });
  if (is_plain) return std::string(text);
  using Json = nlohmann::json;
  const std::string valid = Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
  std::string line = Json::parse(valid).get<std::string>();
  std::replace_if(
      line.begin(), line.end(), [](char byte) { return static_cast<unsigned char>(byte) < 0x20 || byte == 0x7f; }, ' ');
  return line;
}

std::string join(const std::vector<std::string>& texts, const std::string& separator) {
  std::string joined;
  for (const std::string& text : texts) joined += (&text == &texts.front() ? "" : separator) + text;
  return joined;
}

std::string join(const std::vector<int64_t>& numbers, const std::string& separator) {
  std::vector<std::string> texts;
  for (const int64_t number : numbers) texts.push_back(std::to_string(number));
  return join(texts, separator);
}

}  // namespace moebench
