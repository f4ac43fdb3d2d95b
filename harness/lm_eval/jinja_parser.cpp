// Recursive descent, in the order of Jinja2's own parser: inline if, or, and, not, comparison, + -, ~, * / // %,
// unary -, postfix. ** and keyword arguments are left out.
#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "harness/lm_eval/jinja_lexer.h"
#include "harness/lm_eval/jinja_syntax.h"

namespace moebench {
namespace {

using Kind = JinjaNode::Kind;
using Token = JinjaToken::Kind;

constexpr int kMaxNesting = 100;

class Parser {
 public:
  explicit Parser(std::vector<JinjaToken> tokens) : tokens_(std::move(tokens)) {}

  JinjaNode read_template() {
    JinjaNode block = read_block({});
    if (next().kind != Token::kEnd) fail_at(next().position, "'" + tokens_[index_ + 1].text + "' closes nothing");
    return block;
  }

  JinjaNode read_whole_expression() {
    JinjaNode expression = read_expression();
    expect(Token::kEnd, "");
    return expression;
  }

 private:
  const JinjaToken& next() const { return tokens_[index_]; }
  const JinjaToken& take() { return tokens_[index_ + 1 < tokens_.size() ? index_++ : index_]; }
  bool at(Token kind, std::string_view text) const { return next().kind == kind && next().text == text; }
  bool at_operator(std::string_view text) const { return at(Token::kOperator, text); }
  bool at_word(std::string_view text) const { return at(Token::kName, text); }

  bool take_if(Token kind, std::string_view text) {
    if (!at(kind, text)) return false;
    take();
    return true;
  }

  void expect(Token kind, const std::string& text) {
    if (next().kind == kind && (text.empty() || next().text == text)) return void(take());
    const std::string found = next().kind == Token::kEnd ? "the end" : "'" + next().text + "'";
    fail_at(next().position, found + " where " + (text.empty() ? "the end" : "'" + text + "'") + " should be");
  }

  std::string expect_name() {
    if (next().kind != Token::kName) fail_at(next().position, "a name is missing before '" + next().text + "'");
    return take().text;
  }

  JinjaNode node(Kind kind, std::vector<JinjaNode> children = {}, std::string name = "") const {
    const JinjaPosition position = children.empty() ? next().position : children.front().position;
    return {kind, position, std::move(name), nullptr, std::move(children)};
  }

  // One level deeper, until the end of the caller.
  struct Depth {
    explicit Depth(Parser& parser) : parser(parser) {
      if (++parser.depth_ > kMaxNesting) fail_at(parser.next().position, "nested too deeply");
    }
    ~Depth() { --parser.depth_; }
    Parser& parser;
  };

  // Up to a tag that begins with one of these words; that tag stays.
  JinjaNode read_block(const std::vector<std::string_view>& ends) {
    const Depth depth(*this);
    JinjaNode block = node(Kind::kBlock);
    while (next().kind != Token::kEnd && !at_end_of_block(ends)) block.children.push_back(read_statement());
    return block;
  }

  bool at_end_of_block(const std::vector<std::string_view>& ends) const {
    if (next().kind != Token::kOpenTag) return false;
    const std::string& word = tokens_[index_ + 1].text;
    return word.starts_with("end") || std::find(ends.begin(), ends.end(), word) != ends.end();
  }

  JinjaNode read_statement() {
    if (next().kind == Token::kText) {
      JinjaNode text = node(Kind::kText);
      text.value = take().text;
      return text;
    }
    if (next().kind == Token::kOpenOutput) {
      take();
      JinjaNode output = node(Kind::kOutput, one(read_expression()));
      expect(Token::kCloseOutput, "}}");
      return output;
    }
    expect(Token::kOpenTag, "{%");
    if (take_if(Token::kName, "if")) return read_if();
    if (take_if(Token::kName, "for")) return read_for();
    if (take_if(Token::kName, "set")) return read_set();
    fail_at(next().position, "'" + next().text + "' is not a tag that is supported; if, for and set are");
  }

  static std::vector<JinjaNode> one(JinjaNode child) {
    std::vector<JinjaNode> children;
    children.push_back(std::move(child));
    return children;
  }

  void close_tag() { expect(Token::kCloseTag, "%}"); }

  void expect_tag(const std::string& word) {
    expect(Token::kOpenTag, "{%");
    expect(Token::kName, word);
    close_tag();
  }

  // Behind "if" or "elif".
  JinjaNode read_if() {
    const Depth depth(*this);
    JinjaNode branch = node(Kind::kIf, one(read_expression()));
    close_tag();
    branch.children.push_back(read_block({"elif", "else"}));
    if (at_tag("elif")) {
      index_ += 2;
      branch.children.push_back(read_if());
      return branch;
    }
    branch.children.push_back(read_else());
    expect_tag("endif");
    return branch;
  }

  bool at_tag(std::string_view word) const {
    return next().kind == Token::kOpenTag && tokens_[index_ + 1].text == word;
  }

  JinjaNode read_else() {
    if (!at_tag("else")) return node(Kind::kBlock);
    index_ += 2;
    close_tag();
    return read_block({});
  }

  JinjaNode read_for() {
    std::string name = expect_name();
    expect(Token::kName, "in");
    JinjaNode loop = node(Kind::kFor, one(read_or()), std::move(name));
    close_tag();
    loop.children.push_back(read_block({"else"}));
    loop.children.push_back(read_else());
    expect_tag("endfor");
    return loop;
  }

  JinjaNode read_set() {
    std::string name = expect_name();
    expect(Token::kOperator, "=");
    JinjaNode set = node(Kind::kSet, one(read_expression()), std::move(name));
    close_tag();
    return set;
  }

  JinjaNode read_expression() {
    const Depth depth(*this);
    JinjaNode value = read_or();
    while (take_if(Token::kName, "if")) {
      JinjaNode choice = node(Kind::kChoice, one(read_or()));
      choice.children.push_back(std::move(value));
      if (take_if(Token::kName, "else")) choice.children.push_back(read_expression());
      value = std::move(choice);
    }
    return value;
  }

  JinjaNode pair(Kind kind, JinjaNode left, JinjaNode right, std::string name = "") const {
    std::vector<JinjaNode> children = one(std::move(left));
    children.push_back(std::move(right));
    return node(kind, std::move(children), std::move(name));
  }

  JinjaNode read_or() {
    JinjaNode left = read_and();
    while (take_if(Token::kName, "or")) left = pair(Kind::kOr, std::move(left), read_and());
    return left;
  }

  JinjaNode read_and() {
    JinjaNode left = read_not();
    while (take_if(Token::kName, "and")) left = pair(Kind::kAnd, std::move(left), read_not());
    return left;
  }

  JinjaNode read_not() {
    const Depth depth(*this);
    if (!take_if(Token::kName, "not")) return read_comparison();
    return node(Kind::kNot, one(read_not()));
  }

  // "a < b < c" would compare twice in Python; here it is refused.
  JinjaNode read_comparison() {
    JinjaNode left = read_chain({"+", "-"}, [this] { return read_concatenation(); });
    std::string comparison = take_comparison();
    if (comparison.empty()) return left;
    left = pair(Kind::kBinary, std::move(left), read_chain({"+", "-"}, [this] { return read_concatenation(); }),
                comparison.starts_with("not") ? "in" : comparison);
    if (!take_comparison().empty()) fail_at(next().position, "chained comparisons are not supported; write 'and'");
    return comparison.starts_with("not") ? node(Kind::kNot, one(std::move(left))) : std::move(left);
  }

  std::string take_comparison() {
    for (const char* text : {"==", "!=", "<=", ">=", "<", ">"}) {
      if (take_if(Token::kOperator, text)) return text;
    }
    if (take_if(Token::kName, "in")) return "in";
    if (at_word("not") && tokens_[index_ + 1].kind == Token::kName && tokens_[index_ + 1].text == "in") {
      index_ += 2;
      return "not in";
    }
    return "";
  }

  template <class ReadOperand>
  JinjaNode read_chain(std::initializer_list<std::string_view> operators, ReadOperand read_operand) {
    JinjaNode left = read_operand();
    while (next().kind == Token::kOperator &&
           std::find(operators.begin(), operators.end(), next().text) != operators.end()) {
      std::string name = take().text;
      left = pair(Kind::kBinary, std::move(left), read_operand(), std::move(name));
    }
    return left;
  }

  JinjaNode read_concatenation() {
    return read_chain({"~"}, [this] { return read_chain({"*", "/", "//", "%"}, [this] { return read_unary(true); }); });
  }

  // Filters bind looser than the sign: -1|abs is (-1)|abs.
  JinjaNode read_unary(bool with_filters) {
    const Depth depth(*this);
    JinjaNode value =
        take_if(Token::kOperator, "-") ? node(Kind::kMinus, one(read_unary(false))) : read_postfix(read_primary());
    return with_filters ? read_filters_and_tests(std::move(value)) : std::move(value);
  }

  JinjaNode read_primary() {
    const JinjaToken& token = next();
    if (token.kind == Token::kLiteral) return read_literal();
    if (token.kind == Token::kName) return read_name();
    if (take_if(Token::kOperator, "(")) return read_parenthesis();
    if (take_if(Token::kOperator, "[")) {
      JinjaNode list = node(Kind::kList);
      list.children = read_arguments("]");
      return list;
    }
    fail_at(token.position, token.kind == Token::kEnd || token.kind == Token::kCloseOutput
                                ? "an expression is missing"
                                : "'" + token.text + "' is not the beginning of an expression that is supported");
  }

  // Strings beside one another are one.
  JinjaNode read_literal() {
    JinjaNode literal = node(Kind::kLiteral);
    literal.value = take().value;
    while (literal.value.is_string() && next().kind == Token::kLiteral && next().value.is_string()) {
      literal.value = literal.value.get<std::string>() + take().value.get<std::string>();
    }
    return literal;
  }

  JinjaNode read_name() {
    JinjaNode name = node(Kind::kName, {}, next().text);
    const std::string& word = take().text;
    const bool is_constant =
        word == "true" || word == "True" || word == "false" || word == "False" || word == "none" || word == "None";
    if (!is_constant) return name;
    name.kind = Kind::kLiteral;
    if (word[0] != 'n' && word[0] != 'N') name.value = word == "true" || word == "True";
    return name;
  }

  // (a) is a; (a, b), (a,) and () are lists.
  JinjaNode read_parenthesis() {
    JinjaNode list = node(Kind::kList);
    if (take_if(Token::kOperator, ")")) return list;
    list.children.push_back(read_expression());
    if (take_if(Token::kOperator, ")")) return std::move(list.children.front());
    expect(Token::kOperator, ",");
    for (JinjaNode& child : read_arguments(")")) list.children.push_back(std::move(child));
    return list;
  }

  // Expressions between commas up to the closing bracket; a comma may stand last.
  std::vector<JinjaNode> read_arguments(const std::string& closing) {
    std::vector<JinjaNode> arguments;
    while (!take_if(Token::kOperator, closing)) {
      arguments.push_back(read_expression());
      if (!at_operator(closing)) expect(Token::kOperator, ",");
    }
    return arguments;
  }

  JinjaNode read_postfix(JinjaNode value) {
    while (true) {
      if (take_if(Token::kOperator, ".")) {
        if (next().kind == Token::kLiteral && next().value.is_number_integer()) {  // a.0 is a[0]
          value = pair(Kind::kItem, std::move(value), read_literal());
          continue;
        }
        std::string name = expect_name();
        const bool is_call = take_if(Token::kOperator, "(");
        value = node(is_call ? Kind::kMethod : Kind::kAttribute, one(std::move(value)), std::move(name));
        if (is_call) {
          for (JinjaNode& argument : read_arguments(")")) value.children.push_back(std::move(argument));
        }
      } else if (take_if(Token::kOperator, "[")) {
        value = read_subscript(std::move(value));
      } else if (at_operator("(")) {
        fail_at(next().position, "only methods can be called");
      } else {
        return value;
      }
    }
  }

  JinjaNode read_subscript(JinjaNode object) {
    std::vector<JinjaNode> bounds;
    bool is_slice = false;
    const auto read_bound = [&] {
      const bool is_left_out = at_operator(":") || at_operator("]");
      bounds.push_back(is_left_out ? node(Kind::kLiteral) : read_expression());
    };
    if (at_operator("]")) fail_at(next().position, "an index is missing");
    read_bound();
    while (bounds.size() < 3 && take_if(Token::kOperator, ":")) {
      is_slice = true;
      read_bound();
    }
    expect(Token::kOperator, "]");
    if (!is_slice) return pair(Kind::kItem, std::move(object), std::move(bounds[0]));
    while (bounds.size() < 3) bounds.push_back(node(Kind::kLiteral));
    JinjaNode slice = node(Kind::kSlice, one(std::move(object)));
    for (JinjaNode& bound : bounds) slice.children.push_back(std::move(bound));
    return slice;
  }

  JinjaNode read_filters_and_tests(JinjaNode value) {
    while (true) {
      if (take_if(Token::kOperator, "|")) {
        value = node(Kind::kFilter, one(std::move(value)), expect_name());
        if (!take_if(Token::kOperator, "(")) continue;
        for (JinjaNode& argument : read_arguments(")")) value.children.push_back(std::move(argument));
      } else if (take_if(Token::kName, "is")) {
        const bool is_negated = take_if(Token::kName, "not");
        value = node(Kind::kTest, one(std::move(value)), expect_name());
        if (is_negated) value = node(Kind::kNot, one(std::move(value)));
      } else {
        return value;
      }
    }
  }

  std::vector<JinjaToken> tokens_;
  size_t index_ = 0;
  int depth_ = 0;
};

}  // namespace

JinjaNode parse_template(const std::string& source) { return Parser(lex_template(source)).read_template(); }

JinjaNode parse_expression(const std::string& source) { return Parser(lex_expression(source)).read_whole_expression(); }

}  // namespace moebench
