#include "results/latex_text.h"

#include <cstdint>
#include <map>

#include <fmt/format.h>

#include "results/cell_text.h"

namespace moebench {
namespace {

const std::map<uint32_t, const char*>& replacements() {
  static const std::map<uint32_t, const char*> table = {
      {'\\', "\\textbackslash{}"},
      {'{', "\\{"},
      {'}', "\\}"},
      {'$', "\\$"},
      {'&', "\\&"},
      {'#', "\\#"},
      {'%', "\\%"},
      {'_', "\\_"},
      {'^', "\\textasciicircum{}"},
      {'~', "\\textasciitilde{}"},
      {'<', "\\ensuremath{<}"},
      {'>', "\\ensuremath{>}"},
      {'[', "{[}"},  // behind a line's end it would begin an argument of \\\\, as would *
      {']', "{]}"},
      {'*', "{*}"},
      {'|', "\\ensuremath{|}"},
      {'"', "{\\char34}"},  // in both encodings a double quote
      {0xa7, "\\S{}"},
      {0xb1, "\\ensuremath{\\pm}"},
      {0xb7, "\\ensuremath{\\cdot}"},
      {0xd7, "\\ensuremath{\\times}"},
      {0x2013, "--"},
      {0x2014, "---"},
      {0x2020, "\\ensuremath{\\dagger}"},
      {0x2021, "\\ensuremath{\\ddagger}"},
      {0x2026, "\\ldots{}"},
      {0x2191, "\\ensuremath{\\uparrow}"},
      {0x2193, "\\ensuremath{\\downarrow}"},
      {0x2248, "\\ensuremath{\\approx}"},
      {0x2264, "\\ensuremath{\\le}"},
      {0x2265, "\\ensuremath{\\ge}"},
      {0x221e, "\\ensuremath{\\infty}"},
  };
  return table;
}

// Two of these in a row would become one sign: --, ``, '', ,,, ?`.
bool is_of_a_ligature(char byte) { return std::string_view("-,`'?!").find(byte) != std::string_view::npos; }

// Latin letters with accents, and ß, æ, ø: in every encoding of fonts. Eth and thorn are not in OT1.
bool is_in_all_fonts(uint32_t point) {
  return point >= 0xc0 && point <= 0xff && point != 0xd0 && point != 0xd7 && point != 0xde && point != 0xf0 &&
         point != 0xf7 && point != 0xfe;
}

// The character at position, which is moved behind it. text: valid UTF-8.
uint32_t next_point(std::string_view text, size_t& position) {
  const auto byte = [&](size_t at) { return static_cast<uint32_t>(static_cast<unsigned char>(text[at])); };
  const uint32_t first = byte(position++);
  if (first < 0x80) return first;
  const int more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
  uint32_t point = first & (0x3fU >> more);
  for (int each = 0; each < more && position < text.size(); ++each) point = point << 6 | (byte(position++) & 0x3f);
  return point;
}

}  // namespace

std::string escape_latex(std::string_view text) {
  const std::string line = one_line(text);
  std::string escaped;
  for (size_t position = 0; position < line.size();) {
    const size_t start = position;
    if (start > 0 && is_of_a_ligature(line[start - 1]) && is_of_a_ligature(line[start])) escaped += "{}";
    const uint32_t point = next_point(line, position);
    if (const auto found = replacements().find(point); found != replacements().end()) {
      escaped += found->second;
    } else if (point < 0x80 || is_in_all_fonts(point)) {
      escaped += line.substr(start, position - start);
    } else {
      escaped += fmt::format("U+{:04X}", point);
    }
  }
  return escaped;
}

}  // namespace moebench
