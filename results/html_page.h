// One file of HTML that needs nothing else and may load nothing else.
#pragma once

#include <string>

namespace moebench {

// What goes before and behind a body of HTML. The page has the style of reports and figures in light, in dark and on
// paper, and the script that sorts tables of class "sortable" and opens the <details> that the address names. Its
// Content-Security-Policy allows this style and this script, by their hashes, and nothing else.
std::string html_page_begin(const std::string& title);
std::string html_page_end();

}  // namespace moebench
