// A GitHub table whose source lines up, too.
#pragma once

#include <string>
#include <vector>

namespace moebench {

struct MarkdownColumn {
  std::string title;
  bool is_number = true;           // right-aligned
  std::vector<std::string> cells;  // Markdown already
};

// Columns of equal length.
std::string markdown_table(const std::vector<MarkdownColumn>& columns);

// Plain text so that Markdown shows it as it is, in a table cell or in a paragraph.
std::string escape_markdown(const std::string& text);

}  // namespace moebench
