// Text and numbers within HTML, SVG and other XML.
#pragma once

#include <string>
#include <string_view>

namespace moebench {

// Any text as content or as a quoted attribute: valid UTF-8 on one line, without markup.
std::string escape_markup(std::string_view text);

// Rounded to tenths, without a trailing ".0": what a picture needs, in few bytes. "0" for what is not finite.
std::string coordinate(double value);

}  // namespace moebench
