// What patterns of whatever dialect have in common once they are translated to PCRE2's.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace moebench {

// pattern: UTF-8; with PCRE2_UTF, PCRE2_UCP and more_options, newlines '\n', and JIT where there is one. The code is a
// pcre2_code. Throws std::invalid_argument with PCRE2's message and the byte.
std::shared_ptr<const void> compile_pcre2(const std::string& pattern, uint32_t more_options);

std::string pcre2_message(int error);

}  // namespace moebench
