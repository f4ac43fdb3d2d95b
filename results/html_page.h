// One file of HTML that needs nothing else and may load nothing else.
#pragma once

#include <string>

namespace moebench {

// body: HTML already. The page has the style of reports and figures in light, in dark and on paper, and the script that
// sorts tables of class "sortable" and opens the <details> that the address names. Its Content-Security-Policy allows
// this style and this script, by their hashes, and nothing else.
std::string html_page(const std::string& title, const std::string& body);

}  // namespace moebench
