#include "harness/lm_eval/jinja_template.h"

#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "harness/lm_eval/jinja_calls.h"
#include "harness/lm_eval/jinja_syntax.h"
#include "harness/lm_eval/jinja_value.h"

namespace moebench {
namespace {

using Kind = JinjaNode::Kind;

constexpr size_t kMaxSourceBytes = size_t{1} << 16;
constexpr int kMaxEvaluationDepth = 400;
constexpr int64_t kMaxSteps = 300'000;

// Values are copied: what a copy costs.
int64_t num_steps_of(const JinjaValue& value) {
  constexpr size_t kBytesPerStep = 256;
  int64_t num_steps = 1;
  if (value.is_string()) num_steps += static_cast<int64_t>(value.get_ref<const std::string&>().size() / kBytesPerStep);
  if (value.is_structured()) {
    for (const JinjaValue& item : value) num_steps += num_steps_of(item);
  }
  return num_steps;
}

class Evaluation {
 public:
  explicit Evaluation(const JinjaValue& variables) : variables_(variables) {}

  void run(const JinjaNode& node) {
    switch (node.kind) {
      case Kind::kText:
        return print(node.value.get_ref<const std::string&>(), node);
      case Kind::kOutput:
        return print(python_str(evaluate(node.children[0])), node);
      case Kind::kIf:
        return run(node.children[is_true(evaluate(node.children[0])) ? 1 : 2]);
      case Kind::kFor:
        return loop(node);
      case Kind::kSet:
        scopes_.back().insert_or_assign(node.name, evaluate(node.children[0]));
        return;
      default:
        for (const JinjaNode& child : node.children) run(child);
    }
  }

  JinjaValue evaluate(const JinjaNode& node) {
    if (++depth_ > kMaxEvaluationDepth) fail_at(node.position, "nested too deeply");
    JinjaValue value = value_of(node);
    --depth_;
    take_steps(num_steps_of(value), node);
    return value;
  }

  std::string output() { return std::move(output_); }

 private:
  void take_steps(int64_t num_steps, const JinjaNode& node) {
    num_steps_ += num_steps;
    if (num_steps_ > kMaxSteps) fail_at(node.position, "takes too many steps");
  }

  void print(const std::string& text, const JinjaNode& node) {
    if (output_.size() + text.size() > kMaxJinjaBytes) fail_at(node.position, "prints more than 16 MiB");
    output_ += text;
  }

  // What throws inside is said to stand at the node.
  template <class Action>
  static auto at(const JinjaNode& node, Action action) {
    try {
      return action();
    } catch (const std::runtime_error& error) {
      if (std::string(error.what()).starts_with("template line ")) throw;
      fail_at(node.position, error.what());
    }
  }

  void loop(const JinjaNode& node) {
    const JinjaValue items = at(node, [&] { return iterated(evaluate(node.children[0])); });
    if (items.empty()) return run(node.children[2]);
    for (size_t index = 0; index < items.size(); ++index) {
      const JinjaValue state = {{"index", index + 1},
                                {"index0", index},
                                {"first", index == 0},
                                {"last", index + 1 == items.size()},
                                {"length", items.size()}};
      scopes_.push_back({{node.name, items[index]}, {"loop", state}});
      take_steps(1, node);
      run(node.children[1]);
      scopes_.pop_back();
    }
  }

  JinjaValue value_of(const JinjaNode& node) {
    switch (node.kind) {
      case Kind::kLiteral:
        return node.value;
      case Kind::kList: {
        JinjaValue list = JinjaValue::array();
        for (const JinjaNode& child : node.children) list.push_back(evaluate(child));
        return list;
      }
      case Kind::kName:
      case Kind::kAttribute:
        return defined_value(node);
      case Kind::kTest:
        return test(node);
      case Kind::kNot:
        return !is_true(evaluate(node.children[0]));
      case Kind::kAnd:
      case Kind::kOr: {
        JinjaValue left = evaluate(node.children[0]);
        return is_true(left) == (node.kind == Kind::kOr) ? left : evaluate(node.children[1]);
      }
      case Kind::kChoice:
        if (is_true(evaluate(node.children[0]))) return evaluate(node.children[1]);
        if (node.children.size() < 3) fail_at(node.position, "an inline if without else is undefined here");
        return evaluate(node.children[2]);
      case Kind::kFilter:
        if (node.name == "default" || node.name == "d") return with_default(node);
        [[fallthrough]];
      default:
        return operation(node);
    }
  }

  // Whatever takes the values of all its children.
  JinjaValue operation(const JinjaNode& node) {
    std::vector<JinjaValue> values;
    for (const JinjaNode& child : node.children) values.push_back(evaluate(child));
    const std::vector<JinjaValue> arguments(values.begin() + 1, values.end());
    JinjaValue result = at(node, [&]() -> JinjaValue {
      switch (node.kind) {
        case Kind::kItem:
          return item_of(values[0], values[1]);
        case Kind::kSlice:
          return slice_of(values[0], values[1], values[2], values[3]);
        case Kind::kMethod:
          return call_method(node.name, values[0], arguments);
        case Kind::kFilter:
          return apply_filter(node.name, values[0], arguments);
        case Kind::kMinus:
          return binary_operation("-", 0, values[0]);
        default:
          return binary_operation(node.name, values[0], values[1]);
      }
    });
    if (result.is_string() && result.get_ref<const std::string&>().size() > kMaxJinjaBytes) {
      fail_at(node.position, "a text grows beyond 16 MiB");
    }
    return result;
  }

  std::optional<JinjaValue> find(const JinjaNode& node) {
    if (node.kind == Kind::kName) return find_variable(node.name);
    if (node.kind != Kind::kAttribute) return evaluate(node);
    const JinjaValue object = evaluate(node.children[0]);
    const auto found = object.is_object() ? object.find(node.name) : object.end();
    return found == object.end() ? std::nullopt : std::optional(*found);
  }

  std::optional<JinjaValue> find_variable(const std::string& name) const {
    for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
      if (const auto found = scope->find(name); found != scope->end()) return found->second;
    }
    const auto found = variables_.find(name);
    return found == variables_.end() ? std::nullopt : std::optional(*found);
  }

  JinjaValue defined_value(const JinjaNode& node) {
    std::optional<JinjaValue> value = find(node);
    if (!value) fail_at(node.position, "'" + node.name + "' is undefined");
    return *std::move(value);
  }

  JinjaValue test(const JinjaNode& node) {
    if (node.name == "defined") return find(node.children[0]).has_value();
    if (node.name == "undefined") return !find(node.children[0]).has_value();
    const JinjaValue value = evaluate(node.children[0]);
    return at(node, [&] { return apply_test(node.name, value); });
  }

  JinjaValue with_default(const JinjaNode& node) {
    if (node.children.size() != 2) fail_at(node.position, "filter 'default' takes one argument");
    const std::optional<JinjaValue> value = find(node.children[0]);
    return value ? *value : evaluate(node.children[1]);
  }

  const JinjaValue& variables_;
  std::vector<std::map<std::string, JinjaValue>> scopes_ = {{}};
  std::string output_;
  int64_t num_steps_ = 0;
  int depth_ = 0;
};

bool is_literal(const JinjaNode& node) {
  if (node.kind == Kind::kMinus) return node.children[0].kind == Kind::kLiteral;
  if (node.kind != Kind::kList) return node.kind == Kind::kLiteral;
  for (const JinjaNode& child : node.children) {
    if (!is_literal(child)) return false;
  }
  return true;
}

}  // namespace

JinjaTemplate::JinjaTemplate(const std::string& source) {
  if (source.size() > kMaxSourceBytes) throw std::runtime_error("template: is longer than 64 KiB");
  root_ = std::make_shared<const JinjaNode>(parse_template(source));
}

std::string JinjaTemplate::render(const nlohmann::ordered_json& variables) const {
  Evaluation evaluation(variables);
  evaluation.run(*root_);
  return evaluation.output();
}

nlohmann::ordered_json parse_python_literal(const std::string& text) {
  const JinjaNode node = parse_expression(text);
  if (!is_literal(node)) throw std::runtime_error("'" + text + "' is not a list of strings or numbers");
  return Evaluation(nlohmann::ordered_json::object()).evaluate(node);
}

}  // namespace moebench
