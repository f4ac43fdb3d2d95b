// JSON lines from an untrusted stream: bounded, and every error names its line.
#pragma once

#include <cstdint>
#include <istream>
#include <optional>
#include <ostream>
#include <string>

#include <nlohmann/json.hpp>

namespace moebench {

class JsonLines {
 public:
  // name is what errors call the stream: "stdin".
  JsonLines(std::istream& stream, std::string name) : stream_(stream), name_(std::move(name)) {}

  // The next line's value; nothing after the last. Throws std::runtime_error if a line is blank, not JSON, not UTF-8 or
  // longer than 64 MiB.
  std::optional<nlohmann::json> next();

  // "stdin, line 3": where the last value came from, to begin an error with.
  std::string place() const { return name_ + ", line " + std::to_string(line_number_); }

 private:
  bool read_line();

  std::istream& stream_;
  std::string name_, line_;
  int64_t line_number_ = 0;
};

// Writes a line and hands it over at once: a program that talks back and forth waits for it. Throws TryAgainError if
// stream takes no more (a full disk).
void write_line(std::ostream& stream, const std::string& line);

}  // namespace moebench
