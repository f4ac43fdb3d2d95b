#include "results/markdown_table.h"

#include <algorithm>
#include <cctype>

#include "results/cell_text.h"

namespace moebench {
namespace {

// Characters, that is bytes that do not continue one.
size_t width_of(const std::string& text) {
  return static_cast<size_t>(std::count_if(
      text.begin(), text.end(), [](char byte) { return (static_cast<unsigned char>(byte) & 0xc0) != 0x80; }));
}

size_t width_of(const MarkdownColumn& column) {
  size_t width = std::max<size_t>(width_of(column.title), 3);
  for (const std::string& cell : column.cells) width = std::max(width, width_of(cell));
  return width;
}

std::string padded(const std::string& text, size_t width, bool to_the_right) {
  const std::string space(width - width_of(text), ' ');
  return to_the_right ? space + text : text + space;
}

// An underscore within a word is only an underscore.
bool is_within_word(const std::string& text, size_t position) {
  const auto is_word = [&](size_t at) {
    return at < text.size() && std::isalnum(static_cast<unsigned char>(text[at]));
  };
  return position > 0 && is_word(position - 1) && is_word(position + 1);
}

}  // namespace

std::string markdown_table(const std::vector<MarkdownColumn>& columns) {
  std::string titles = "|", rules = "|";
  std::vector<size_t> widths;
  for (const MarkdownColumn& column : columns) {
    const size_t width = widths.emplace_back(width_of(column));
    titles += " " + padded(column.title, width, column.is_number) + " |";
    rules += column.is_number ? std::string(width + 1, '-') + ":|" : ":" + std::string(width + 1, '-') + "|";
  }
  std::string table = titles + "\n" + rules + "\n";
  const size_t num_rows = columns.empty() ? 0 : columns.front().cells.size();
  for (size_t row = 0; row < num_rows; ++row) {
    table += "|";
    for (size_t column = 0; column < columns.size(); ++column) {
      table += " " + padded(columns[column].cells[row], widths[column], columns[column].is_number) + " |";
    }
    table += "\n";
  }
  return table;
}

std::string escape_markdown(const std::string& text) {
  const std::string line = one_line(text);
  std::string escaped;
  for (size_t position = 0; position < line.size(); ++position) {
    const char byte = line[position];
    const bool is_special = std::string_view("\\|*`[]~").find(byte) != std::string_view::npos ||
                            (byte == '_' && !is_within_word(line, position));
    if (byte == '<')
      escaped += "&lt;";
    else if (byte == '&')
      escaped += "&amp;";
    else
      escaped += is_special ? std::string{'\\', byte} : std::string(1, byte);
  }
  return escaped;
}

}  // namespace moebench
