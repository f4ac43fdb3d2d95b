// A template's errors say where in it they stand.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>

namespace moebench {

struct JinjaPosition {
  size_t line = 1, column = 1;  // in bytes, from 1
};

[[noreturn]] inline void fail_at(JinjaPosition position, const std::string& what) {
  throw std::runtime_error("template line " + std::to_string(position.line) + ", column " +
                           std::to_string(position.column) + ": " + what);
}

}  // namespace moebench
