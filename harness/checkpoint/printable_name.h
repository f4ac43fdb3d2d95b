// Names in untrusted files end up in messages and in JSON.
#pragma once

#include <string_view>

namespace moebench {

// Valid UTF-8 (no overlong forms, no surrogates), not empty, without control characters.
bool is_printable_name(std::string_view name);

}  // namespace moebench
