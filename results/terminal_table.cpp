#include "results/terminal_table.h"

#include <algorithm>
#include <sstream>

#include <utf8proc.h>

#include "results/cell_text.h"

namespace moebench {
namespace {

constexpr size_t kGap = 2, kLeastName = 16;

// Calls visit with each character's bytes and width until it returns false. text: valid UTF-8.
void for_each_character(const std::string& text, auto&& visit) {
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  for (size_t position = 0; position < text.size();) {
    utf8proc_int32_t point = 0;
    const utf8proc_ssize_t length = std::max<utf8proc_ssize_t>(
        1, utf8proc_iterate(bytes + position, static_cast<utf8proc_ssize_t>(text.size() - position), &point));
    const auto width = static_cast<size_t>(std::max(0, utf8proc_charwidth(point)));
    if (!visit(text.substr(position, static_cast<size_t>(length)), width)) return;
    position += static_cast<size_t>(length);
  }
}

std::string fitted(const std::string& text, size_t width) {
  if (screen_width(text) <= width) return text;
  std::string result;
  size_t used = 1;
  for_each_character(text, [&](const std::string& bytes, size_t character_width) {
    used += character_width;
    if (used > width) return false;
    result += bytes;
    return true;
  });
  return result + "…";
}

const char* escape_of(TerminalMark mark) {
  switch (mark) {
    case TerminalMark::kBold:
      return "\x1b[1m";
    case TerminalMark::kUnderlined:
      return "\x1b[4m";
    case TerminalMark::kFaint:
      return "\x1b[2m";
    case TerminalMark::kRed:
      return "\x1b[31m";
    case TerminalMark::kNone:
      break;
  }
  return "";
}

std::string padded(const TerminalCell& cell, size_t width, bool to_the_right, bool with_colour) {
  const std::string text = fitted(one_line(cell.text), width), space(width - screen_width(text), ' ');
  const bool is_marked = with_colour && cell.mark != TerminalMark::kNone && !text.empty();
  const std::string shown = is_marked ? escape_of(cell.mark) + text + "\x1b[0m" : text;
  return to_the_right ? space + shown : shown + space;
}

size_t width_of(const TerminalColumn& column) {
  size_t width = screen_width(one_line(column.title.text));
  for (const TerminalCell& cell : column.cells) width = std::max(width, screen_width(one_line(cell.text)));
  return width;
}

class Blocks {
 public:
  Blocks(const std::vector<TerminalColumn>& columns, size_t width, bool with_colour,
         const std::vector<std::string>& headings)
      : columns_(columns), with_colour_(with_colour), headings_(headings), width_(width) {
    for (const TerminalColumn& column : columns) widths_.push_back(width_of(column));
    if (width > 0 && !widths_.empty()) widths_[0] = std::min(widths_[0], std::max(width / 2, kLeastName));
    divide(width);
  }

  std::string text() const {
    std::string text;
    for (const std::vector<size_t>& block : blocks_) text += (text.empty() ? "" : "\n") + block_text(block);
    return text;
  }

 private:
  void divide(size_t width) {
    size_t used = 0;
    for (size_t column = 1; column < columns_.size(); ++column) {
      const size_t needed = kGap + widths_[column];
      if (blocks_.empty() || (width > 0 && used + needed > width && blocks_.back().size() > 1)) {
        blocks_.push_back({0});
        used = widths_[0];
      }
      blocks_.back().push_back(column);
      used += needed;
    }
    if (blocks_.empty() && !columns_.empty()) blocks_.push_back({0});
  }

  std::string line(const std::vector<size_t>& block, auto&& cell_of) const {
    std::string line;
    for (const size_t column : block) {
      line += (line.empty() ? "" : std::string(kGap, ' ')) +
              padded(cell_of(columns_[column]), widths_[column], columns_[column].is_number, with_colour_);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    return line + "\n";
  }

  std::string heading(size_t row) const {
    const std::string line = one_line(headings_[row]);
    const std::string text = width_ > 0 ? fitted(line, width_) : line;
    return with_colour_ ? escape_of(TerminalMark::kFaint) + text + "\x1b[0m\n" : text + "\n";
  }

  std::string block_text(const std::vector<size_t>& block) const {
    std::string text = line(block, [](const TerminalColumn& column) { return column.title; });
    size_t width = 0;
    for (const size_t column : block) width += widths_[column] + (width == 0 ? 0 : kGap);
    for (size_t each = 0; each < width; ++each) text += "─";
    text += "\n";
    for (size_t row = 0; row < columns_.front().cells.size(); ++row) {
      if (row < headings_.size() && (row == 0 || headings_[row] != headings_[row - 1])) text += heading(row);
      text += line(block, [&](const TerminalColumn& column) { return column.cells[row]; });
    }
    return text;
  }

  const std::vector<TerminalColumn>& columns_;
  const bool with_colour_;
  const std::vector<std::string>& headings_;
  const size_t width_;
  std::vector<size_t> widths_;
  std::vector<std::vector<size_t>> blocks_;
};

}  // namespace

size_t screen_width(const std::string& text) {
  size_t width = 0;
  for_each_character(text, [&](const std::string&, size_t character_width) {
    width += character_width;
    return true;
  });
  return width;
}

std::string terminal_table(const std::vector<TerminalColumn>& columns, size_t width, bool with_colour,
                           const std::vector<std::string>& headings) {
  return Blocks(columns, width, with_colour, headings).text();
}

std::string wrapped(const std::string& text, size_t width, const std::string& indent) {
  std::istringstream words(one_line(text));
  std::string result, line;
  for (std::string word; words >> word;) {
    if (width > 0 && !line.empty() && screen_width(line) + 1 + screen_width(word) > width) {
      result += line + "\n";
      line = indent + word;
    } else {
      line += (line.empty() ? "" : " ") + word;
    }
  }
  return result + line + "\n";
}

}  // namespace moebench
