// Text for LaTeX.
#pragma once

#include <string>
#include <string_view>

namespace moebench {

// Any text so that LaTeX (pdflatex, OT1 or T1, UTF-8) prints it: specials escaped, symbols of tables in mathematics,
// accented Latin letters as they are, and what its fonts lack as "U+6A21".
std::string escape_latex(std::string_view text);

}  // namespace moebench
