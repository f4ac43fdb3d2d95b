// A table for a terminal: as wide as its window, in blocks of columns where it would be wider.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace moebench {

enum class TerminalMark { kNone, kBold, kUnderlined, kFaint, kRed };

struct TerminalCell {
  std::string text;  // any; control characters become spaces
  TerminalMark mark = TerminalMark::kNone;
};

struct TerminalColumn {
  TerminalCell title;
  bool is_number = true;  // right-aligned
  std::vector<TerminalCell> cells;
};

// Columns on the screen that a text takes: East Asian ones two, combining marks none.
size_t screen_width(const std::string& text);

// headings: of each row a line above it where it differs from the row's before; or none at all. width: of the window in
// columns; 0 = unlimited. The first column is repeated in every block and shortened to half of the width at most.
// with_colour: ANSI escapes for the marks, or else none at all.
std::string terminal_table(const std::vector<TerminalColumn>& columns, size_t width, bool with_colour,
                           const std::vector<std::string>& headings = {});

// text in lines of at most width columns (0 = unlimited), broken at spaces; all but the first begin with indent.
std::string wrapped(const std::string& text, size_t width, const std::string& indent);

}  // namespace moebench
