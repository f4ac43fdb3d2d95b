#include "harness/lm_eval/jinja_lexer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>
#include <type_traits>

#include "harness/lm_eval/python_string.h"
#include "harness/text/unicode.h"

namespace moebench {
namespace {

using TokenKind = JinjaToken::Kind;

// Longest first.
constexpr std::array<std::string_view, 26> kOperators = {"==", "!=", "<=", ">=", "//", "**", "+", "-", "*",
                                                         "/",  "%",  "<",  ">",  "=",  "~",  "|", ".", ",",
                                                         ":",  "(",  ")",  "[",  "]",  "{",  "}", ";"};

bool starts_name(char byte) {
  const int letter = byte | 0x20;
  return byte == '_' || (letter >= 'a' && letter <= 'z') || static_cast<signed char>(byte) < 0;
}
bool is_digit(char byte) { return byte >= '0' && byte <= '9'; }

class Lexer {
 public:
  explicit Lexer(std::string source) : source_(std::move(source)) {}

  std::vector<JinjaToken> read_template() {
    while (offset_ < source_.size()) {
      read_text();
      if (at("{#")) {
        skip_comment();
      } else if (at("{{")) {
        read_tag(TokenKind::kOpenOutput, TokenKind::kCloseOutput, "}}");
      } else if (at("{%")) {
        read_tag(TokenKind::kOpenTag, TokenKind::kCloseTag, "%}");
      }
    }
    push(TokenKind::kEnd, "");
    return std::move(tokens_);
  }

  std::vector<JinjaToken> read_expression() {
    for (skip_spaces(); offset_ < source_.size(); skip_spaces()) read_token();
    push(TokenKind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  bool at(std::string_view text) const { return std::string_view(source_).substr(offset_).starts_with(text); }

  JinjaPosition position() {
    for (; counted_ < offset_; ++counted_) {
      const bool is_newline = source_[counted_] == '\n';
      position_ = {position_.line + is_newline, is_newline ? 1 : position_.column + 1};
    }
    return position_;
  }

  void push(TokenKind kind, std::string text, nlohmann::ordered_json value = nullptr) {
    tokens_.push_back({kind, std::move(text), std::move(value), position()});
  }

  // Up to the next tag. What stands before "{{-" or behind "-}}" loses its white space there.
  void read_text() {
    size_t end = offset_;
    while (end < source_.size() && !is_tag_at(end)) ++end;
    std::string_view text = std::string_view(source_).substr(offset_, end - offset_);
    if (strips_left_) text = left_strip(text);
    if (end + 2 < source_.size() && source_[end + 2] == '-') text = right_strip(text);
    if (!text.empty()) push(TokenKind::kText, std::string(text));
    offset_ = end;
    strips_left_ = false;
  }

  bool is_tag_at(size_t offset) const {
    return source_[offset] == '{' && offset + 1 < source_.size() &&
           std::string_view("{%#").find(source_[offset + 1]) != std::string_view::npos;
  }

  void skip_comment() {
    const size_t end = source_.find("#}", offset_ + 2);
    if (end == std::string::npos) fail_at(position(), "a comment does not end");
    strips_left_ = source_[end - 1] == '-' && end > offset_ + 2;
    offset_ = end + 2;
  }

  void read_tag(TokenKind open, TokenKind close, std::string_view closing) {
    push(open, source_.substr(offset_, 2));
    offset_ += 2;
    if (at("-") || at("+")) ++offset_;
    size_t num_open = 0;  // brackets: "}}" ends a tag only outside of them
    for (skip_spaces();; skip_spaces()) {
      if (offset_ == source_.size()) fail_at(tokens_.back().position, "a tag does not end");
      if (num_open == 0 && (at(closing) || (at("-") && source_.compare(offset_ + 1, 2, closing) == 0))) break;
      read_token();
      const std::string& text = tokens_.back().text;
      if (tokens_.back().kind != TokenKind::kOperator) continue;
      if (text == "(" || text == "[" || text == "{") ++num_open;
      if ((text == ")" || text == "]" || text == "}") && num_open > 0) --num_open;
    }
    strips_left_ = at("-");
    push(close, std::string(closing));
    offset_ += closing.size() + strips_left_;
  }

  void skip_spaces() {
    while (offset_ < source_.size() &&
           std::string_view(" \t\n\v\f\r").find(source_[offset_]) != std::string_view::npos) {
      ++offset_;
    }
  }

  void read_token() {
    const char byte = source_[offset_];
    if (starts_name(byte)) return read_name();
    if (is_digit(byte)) return read_number();
    if (byte == '"' || byte == '\'') return read_string(byte);
    const auto found = std::find_if(kOperators.begin(), kOperators.end(), [&](auto text) { return at(text); });
    if (found == kOperators.end()) fail_at(position(), std::string("unexpected '") + byte + "'");
    push(TokenKind::kOperator, std::string(*found));
    offset_ += found->size();
  }

  void read_name() {
    size_t end = offset_;
    while (end < source_.size() && (starts_name(source_[end]) || is_digit(source_[end]))) ++end;
    push(TokenKind::kName, source_.substr(offset_, end - offset_));
    offset_ = end;
  }

  // 12, 1_000, 1.5, 1e-3; not "1." and not octal.
  void read_number() {
    size_t end = offset_;
    const auto skip_digits = [&] {
      while (end < source_.size() && (is_digit(source_[end]) || source_[end] == '_')) ++end;
    };
    const auto digit_at = [&](size_t index) { return index < source_.size() && is_digit(source_[index]); };
    skip_digits();
    bool is_float = false;
    if (end < source_.size() && source_[end] == '.' && digit_at(end + 1)) {
      is_float = true;
      ++end;
      skip_digits();
    }
    if (end < source_.size() && (source_[end] | 0x20) == 'e') {
      const bool is_signed = end + 1 < source_.size() && (source_[end + 1] == '-' || source_[end + 1] == '+');
      if (digit_at(end + 1 + is_signed)) {
        is_float = true;
        end += 1 + is_signed;
        skip_digits();
      }
    }
    const std::string digits = replace_all(source_.substr(offset_, end - offset_), "_", "");
    const nlohmann::ordered_json value =
        is_float ? nlohmann::ordered_json(parsed<double>(digits)) : nlohmann::ordered_json(parsed<int64_t>(digits));
    push(TokenKind::kLiteral, digits, value);
    offset_ = end;
  }

  template <class Number>
  Number parsed(const std::string& digits) {
    Number value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    const bool is_octal = std::is_integral_v<Number> && digits.size() > 1 && digits[0] == '0' && value != 0;
    if (error != std::errc() || is_octal) fail_at(position(), "'" + digits + "' is not a number that is supported");
    return value;
  }

  void read_string(char quote) {
    const size_t begin = offset_;
    std::string text;
    size_t index = offset_ + 1;
    while (index < source_.size() && source_[index] != quote) {
      if (source_[index] == '\\') {
        read_escape(index, text);
      } else {
        text += source_[index++];
      }
    }
    if (index >= source_.size()) fail_at(position(), "a string does not end");
    push(TokenKind::kLiteral, source_.substr(begin, index + 1 - begin), std::move(text));
    offset_ = index + 1;
  }

  // Of Python's string literals. index stands at the backslash and goes behind the escape.
  void read_escape(size_t& index, std::string& text) {
    constexpr std::string_view kLetters = "abfnrtv\\'\"", kMeanings = "\a\b\f\n\r\t\v\\'\"";
    const char letter = index + 1 < source_.size() ? source_[index + 1] : '\0';
    const size_t known = kLetters.find(letter);
    index += 2;
    if (known != std::string_view::npos) {
      text += kMeanings[known];
    } else if (letter == 'x' || letter == 'u' || letter == 'U') {
      const size_t length = letter == 'x' ? 2 : letter == 'u' ? 4 : 8;
      uint32_t code = 0;
      const char* begin = source_.data() + std::min(index, source_.size());
      const char* end = source_.data() + std::min(index + length, source_.size());
      const auto parsed = std::from_chars(begin, end, code, 16);
      const bool is_surrogate = code >= 0xD800 && code <= 0xDFFF;
      if (parsed.ptr != begin + length || code > 0x10FFFF || is_surrogate) {
        fail_at(position(), std::string("a wrong \\") + letter + " in a string");
      }
      append_character(text, code);
      index += length;
    } else if (letter == 'N' || is_digit(letter) || letter == '\0') {
      fail_at(position(), std::string("'\\") + letter + "' in a string is not supported");
    } else if (letter != '\n') {  // Python keeps the backslash before any other letter
      text += {'\\', letter};
    }
  }

  std::string source_;
  size_t offset_ = 0, counted_ = 0;
  JinjaPosition position_;
  bool strips_left_ = false;
  std::vector<JinjaToken> tokens_;
};

// Jinja reads every line end as '\n'.
std::string with_plain_newlines(const std::string& source) {
  return replace_all(replace_all(source, "\r\n", "\n"), "\r", "\n");
}

}  // namespace

std::vector<JinjaToken> lex_template(const std::string& source) {
  return Lexer(with_plain_newlines(source)).read_template();
}

std::vector<JinjaToken> lex_expression(const std::string& source) { return Lexer(source).read_expression(); }

}  // namespace moebench
