#include "harness/commands/json_lines.h"

#include <stdexcept>

#include "harness/error.h"

namespace moebench {
namespace {

constexpr size_t kMaxLineBytes = size_t{64} << 20;

}  // namespace

std::optional<nlohmann::json> JsonLines::next() {
  if (!read_line()) return std::nullopt;
  try {
    return nlohmann::json::parse(line_);
  } catch (const nlohmann::json::parse_error& error) {
    throw std::runtime_error(place() + ": not JSON in UTF-8 from byte " + std::to_string(error.byte) +
                             " on; write one JSON value a line");
  }
}

// std::getline has no limit.
bool JsonLines::read_line() {
  using Traits = std::istream::traits_type;
  std::streambuf& buffer = *stream_.rdbuf();
  line_.clear();
  Traits::int_type next = buffer.sbumpc();
  if (Traits::eq_int_type(next, Traits::eof())) return false;
  ++line_number_;
  while (!Traits::eq_int_type(next, Traits::eof()) && next != '\n') {
    if (line_.size() == kMaxLineBytes) throw std::runtime_error(place() + ": longer than 64 MiB; split the text");
    line_ += Traits::to_char_type(next);
    next = buffer.sbumpc();
  }
  return true;
}

void write_line(std::ostream& stream, const std::string& line) {
  stream << line << std::endl;
  if (!stream) throw TryAgainError("the output cannot be written; free some disk space and run the command again");
}

}  // namespace moebench
