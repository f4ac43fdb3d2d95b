#include "harness/lm_eval/wikitext.h"

#include <array>
#include <utility>

#include "harness/lm_eval/python_string.h"

namespace moebench {
namespace {

bool is_title(std::string_view line) {
  const std::string probe = replace_all(replace_all(line, "= = =", "==="), "= =", "==");
  const std::string_view stripped = strip(probe);
  return stripped.starts_with("= ") && stripped.ends_with(" =");
}

// re.sub(r"/' [0-9]/", r"/'[0-9]/", text): the slashes were meant as delimiters.
std::string with_wrong_slashes(std::string_view text) {
  std::string replaced;
  while (true) {
    const size_t found = text.find("/' ");
    if (found == std::string_view::npos) return replaced.append(text);
    const bool matches = found + 4 < text.size() && is_digits(text.substr(found + 3, 1)) && text[found + 4] == '/';
    replaced.append(text.substr(0, found)).append(matches ? "/'[0-9]/" : "/");
    text.remove_prefix(found + (matches ? 5 : 1));
  }
}

// White space just inside a pair goes: re.sub(r"\(\s*([^\)]*?)\s*\)", r"(\1)", text).
std::string trimmed_inside(std::string_view text, char open, char close) {
  std::string trimmed;
  while (true) {
    const size_t begin = text.find(open);
    const size_t end = begin == std::string_view::npos ? begin : text.find(close, begin + 1);
    if (end == std::string_view::npos) return trimmed.append(text);
    trimmed.append(text.substr(0, begin + 1)).append(strip(text.substr(begin + 1, end - begin - 1))) += close;
    text.remove_prefix(end + 1);
  }
}

using Replacement = std::pair<std::string_view, std::string_view>;

template <size_t size>
std::string replaced(std::string text, const std::array<Replacement, size>& replacements) {
  for (const auto& [old_part, new_part] : replacements) text = replace_all(text, old_part, new_part);
  return text;
}

}  // namespace

std::vector<std::string> wikitext_pages(std::string_view raw_text) {
  std::vector<std::string> pages;
  std::string page;
  bool is_empty = true;
  for (const std::string& line : split(raw_text, "\n")) {
    if (is_title(line)) {
      if (!strip(page).empty()) pages.push_back(page);
      page.clear();
      is_empty = true;
    }
    if (!std::exchange(is_empty, false)) page += '\n';
    page += line;
  }
  pages.push_back(page);
  return pages;
}

std::string detokenised_wikitext(std::string_view page) {
  constexpr std::array<Replacement, 9> kPunctuation = {{{" @-@ ", "-"},
                                                        {" @,@ ", ","},
                                                        {" @.@ ", "."},
                                                        {" : ", ": "},
                                                        {" ; ", "; "},
                                                        {" . ", ". "},
                                                        {" ! ", "! "},
                                                        {" ? ", "? "},
                                                        {" , ", ", "}}};
  constexpr std::array<Replacement, 8> kMiscellaneous = {{{"= = = =", "===="},
                                                          {"= = =", "==="},
                                                          {"= =", "=="},
                                                          {" \u00B0 ", "\u00B0"},
                                                          {" \n", "\n"},
                                                          {"\n ", "\n"},
                                                          {" N ", " 1 "},
                                                          {" 's", "'s"}}};
  std::string text = replaced(with_wrong_slashes(replace_all(page, "s '", "s'")), kPunctuation);
  for (const char* pair : {"()", "[]", "{}", "\"\"", "''"}) text = trimmed_inside(text, pair[0], pair[1]);
  return replaced(text, kMiscellaneous);
}

}  // namespace moebench
