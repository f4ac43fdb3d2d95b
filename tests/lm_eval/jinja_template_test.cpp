// What Jinja2 3.1.6 prints with lm-evaluation-harness's settings: jinja2.Environment(undefined=StrictUndefined,
// keep_trailing_newline=True).from_string(template).render(**document).
#include "harness/lm_eval/jinja_template.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/fixtures/refusal.h"

namespace moebench {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::ordered_json;

const Json kDocument = Json::parse(R"({"question": " Why? ", "choices": ["a", "b'c", "d\n", "é"], "label": 1,
  "nested": {"label": ["A", "B"], "text": ["x", "y"]}, "score": 0.5, "empty": "", "none": null, "yes": true,
  "words": "the quick  brown fox", "answerKey": " B"})");

std::string rendered(const std::string& source) { return JinjaTemplate(source).render(kDocument); }

TEST(JinjaTemplateTest, FieldsIndicesAndAttributes) {
  EXPECT_EQ(rendered("{{question.strip()}}\nA. {{choices[0]}}"), "Why?\nA. a");
  EXPECT_EQ(rendered("{{nested.label.index(answerKey.lstrip())}}"), "1");
  EXPECT_EQ(rendered("{{ nested['label'][0] }} {{ nested.text[-1] }} {{ choices.1 }}"), "A y b'c");
  EXPECT_EQ(rendered("{{ choices[1:3] }} {{ words[::2] }} {{ words[-3:] }} {{ words[4] }}"),
            R"(["b'c", 'd\n'] teqik rw o fox q)");
}

TEST(JinjaTemplateTest, ListsPrintAsPythonPrintsThem) {
  EXPECT_EQ(rendered("{{choices}}"), R"(['a', "b'c", 'd\n', 'é'])");
  EXPECT_EQ(rendered("{{ [label, 'x', none, yes, score] }}"), "[1, 'x', None, True, 0.5]");
  EXPECT_EQ(rendered("{{ nested }}"), "{'label': ['A', 'B'], 'text': ['x', 'y']}");
  EXPECT_EQ(rendered(R"({{ ['it\'s', 'say "it\'s"'] }})"), R"(["it's", 'say "it\'s"'])");
  EXPECT_EQ(rendered(R"({{ ['\u200b', '\x7f', 'é', '\U0001F600', '\xa0', '\\'] }})"),
            R"(['\u200b', '\x7f', 'é', '😀', '\xa0', '\\'])");
}

TEST(JinjaTemplateTest, StringMethods) {
  EXPECT_EQ(rendered("{{words.split(' ')[:-1]|join(' ')}}"), "the quick  brown");
  EXPECT_EQ(rendered("{{' '+words.split(' ')[-1]}}"), " fox");
  EXPECT_EQ(rendered("{{words.split()}}"), "['the', 'quick', 'brown', 'fox']");
  EXPECT_EQ(rendered("{{ 'a,b,,c'.split(',') }} {{ ','.join(nested.text) }} {{ '--a-'.strip('-') }}"),
            "['a', 'b', '', 'c'] x,y a");
  EXPECT_EQ(rendered("{{ 'aXbX'.replace('X', '-', 1) }} {{ 'ab'.replace('', '.') }}"), "a-bX .a.b.");
  EXPECT_EQ(
      rendered("{{ words.find('quick') }} {{ 'éa'.index('a') }} {{ words.count('o') }} {{ words.startswith('the') }}"),
      "4 1 2 True");
  EXPECT_EQ(rendered("{{ 'ÉCOLE ABC'.capitalize() }}{{ 'ΟΔΟΣ'.lower() }}"), "École abcοδος");
  EXPECT_EQ(rendered(R"({{ '\x1c a\u2003\n'.strip() }}|)"), "a|");
}

TEST(JinjaTemplateTest, Filters) {
  EXPECT_EQ(rendered("{{ words|replace('quick', 'slow')|title }}"), "The Slow  Brown Fox");
  EXPECT_EQ(rendered("{{ choices|length }} {{ words|length }} {{ choices|first }}{{ choices|last }}"), "4 20 aé");
  EXPECT_EQ(rendered("{{ '12'|int + 1 }} {{ 'x'|int }} {{ 3.9|int }} {{ '1.5'|float }}"), "13 0 3 1.5");
  EXPECT_EQ(rendered("{{ missing|default('none') }} {{ label|default(5) }}"), "none 1");
  EXPECT_EQ(rendered("{{ 'é'|upper }}{{ 'ß'|upper }}{{ 'X'|lower }}"), "ÉSSx");
  EXPECT_EQ(rendered("{{ choices|join('|') }} {{ [1, 2]|join }} {{ nested|join(',') }}"), "a|b'c|d\n|é 12 label,text");
  EXPECT_EQ(
      rendered(
          "{{ -1|abs }} {{ (-1)|abs }} {{ '  a '|trim }}| {{ 'abc'|reverse }} {{ 'ab'|list }} {{ 5|string + '6' }}"),
      "1 1 a| cba ['a', 'b'] 56");
}

TEST(JinjaTemplateTest, Conditions) {
  EXPECT_EQ(rendered("{% if label == 1 %}one{% elif label == 2 %}two{% else %}other{% endif %}"), "one");
  EXPECT_EQ(rendered("{% if label == 2 %}two{% elif score > 1 %}big{% else %}other{% endif %}"), "other");
  EXPECT_EQ(rendered("{{ 'yes' if yes else 'no' }}"), "yes");
  EXPECT_EQ(rendered("{{ 'b' in choices }} {{ 'a' in choices }} {{ 'q' not in words }} {{ 'label' in nested }}"),
            "False True False True");
  EXPECT_EQ(rendered("{{ not yes or empty == '' and score < 1 }}"), "True");
  EXPECT_EQ(rendered("{{ missing is defined }} {{ label is defined }} {{ none is none }} {{ words is string }} {{ "
                     "nested is mapping }} {{ label is not none }}"),
            "False True True True True True");
  EXPECT_EQ(rendered("{{ 2 < 3 }} {{ 'a' < 'b' }} {{ 1 == 1.0 }} {{ true == 1 }} {{ empty or 'x' }} {{ 0 and 1 }}"),
            "True True True True x 0");
}

TEST(JinjaTemplateTest, Loops) {
  EXPECT_EQ(rendered("{% for c in choices %}{{loop.index}}{{c}}{% if not loop.last %},{% endif %}{% endfor %}"),
            "1a,2b'c,3d\n,4é");
  EXPECT_EQ(rendered("{% for c in [] %}x{% else %}nothing{% endfor %}"), "nothing");
  EXPECT_EQ(rendered("{% for w in words.split(' ') %}{% set label = w %}{{ label }};{% endfor %}{{ label }}"),
            "the;quick;;brown;fox;1");
  EXPECT_EQ(rendered("{% set x = words|upper %}{{x}}{{x|lower|capitalize}}"),
            "THE QUICK  BROWN FOXThe quick  brown fox");
}

TEST(JinjaTemplateTest, WhiteSpaceControl) {
  EXPECT_EQ(rendered("a {{- ' b ' -}} c"), "a b c");
  EXPECT_EQ(rendered("a {%- if yes %} b {% endif -%} c\n"), "a b c\n");
  EXPECT_EQ(rendered("{# note #}x{#- y -#} z"), "xz");
  EXPECT_EQ(rendered("line\r\nnext\n"), "line\nnext\n");
  EXPECT_EQ(rendered("{{ 'a'\n}}\n"), "a\n");
}

TEST(JinjaTemplateTest, Numbers) {
  EXPECT_EQ(rendered("{{ score * 3 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 1 + 2 * 3 - 4 }}"),
            "1.5 3 -4 2 3.5 3");
  EXPECT_EQ(rendered("{{ 1e3 }} {{ 1e20 }} {{ 1e-5 }} {{ 0.1 + 0.2 }} {{ 1_000 }}"),
            "1000.0 1e+20 1e-05 0.30000000000000004 1000");
  EXPECT_EQ(rendered("{{ 5 - -1 }} {{ 2 ~ 3 }} {{ 1 - label }}"), "6 23 0");
}

TEST(JinjaTemplateTest, Literals) {
  EXPECT_EQ(rendered(R"({{ "tab\t\u00e9\x41" ~ 1 ~ none ~ true }})"), "tab\téA1NoneTrue");
  EXPECT_EQ(rendered(R"({{ 'a' 'b' }}{{ "it's" }})"), "abit's");
  EXPECT_EQ(rendered("{{ [] }} {{ (1) }} {{ [1, 2,] }}"), "[] 1 [1, 2]");
}

std::string error_of(const std::string& source) {
  return refusal([&] { rendered(source); });
}

TEST(JinjaTemplateTest, ErrorsNameTheirPlace) {
  EXPECT_EQ(error_of("a\n {{ missing }}"), "template line 2, column 5: 'missing' is undefined");
  EXPECT_EQ(error_of("{{ nested.other }}"), "template line 1, column 4: 'other' is undefined");
  EXPECT_EQ(error_of("{{ choices[4] }}"), "template line 1, column 4: index 4 is out of range: there are 4");
  EXPECT_THAT(error_of("{{ 'a' + 1 }}"), HasSubstr("'+' does not go between a string and an integer"));
  EXPECT_THAT(error_of("{{ nested.label.index('C') }}"), HasSubstr("C is not in the list"));
  EXPECT_THAT(error_of("{{ 1 // 0 }}"), HasSubstr("division by zero"));
  EXPECT_THAT(error_of("{{ 'a' if no_such }}"), HasSubstr("'no_such' is undefined"));
}

TEST(JinjaTemplateTest, WhatIsNotJinjaIsRefused) {
  for (const char* source : {"{{ a", "{{ }}", "{{ 'a }}", "{% if yes %}", "{% endif %}",
                             "{% for c in choices %}{% endif %}", "{# open", "{{ (1 }}", "{{ a. }}", "{{ $ }}",
                             "{{ 2e400 }}", "{{ 99999999999999999999 }}", "{{ 1 2 }}", "{% if %}{% endif %}"}) {
    EXPECT_THAT(error_of(source), HasSubstr("template line 1, column ")) << source;
  }
}

TEST(JinjaTemplateTest, WhatIsNotSupportedIsSaid) {
  EXPECT_THAT(error_of("{% macro x() %}{% endmacro %}"), HasSubstr("'macro' is not a tag that is supported"));
  EXPECT_THAT(error_of("{{ words|tojson }}"), HasSubstr("filter 'tojson' is not supported; these are: abs"));
  EXPECT_THAT(error_of("{{ words.encode() }}"), HasSubstr("string method 'encode' is not supported"));
  EXPECT_THAT(error_of("{{ range(3) }}"), HasSubstr("only methods can be called"));
}

TEST(JinjaTemplateTest, HostileTemplatesEnd) {
  const std::string deep = "{{ " + std::string(30000, '(') + "1" + std::string(30000, ')') + " }}";
  EXPECT_THAT(error_of(deep), HasSubstr("nested too deeply"));
  std::string chain = "{{ 1";
  for (int link = 0; link < 5000; ++link) chain += " + 1";
  EXPECT_THAT(error_of(chain + " }}"), HasSubstr("nested too deeply"));
  std::string doubled = "{% set a = words %}";
  for (int turn = 0; turn < 60; ++turn) doubled += "{% set a = a ~ a %}";
  EXPECT_THAT(error_of(doubled), HasSubstr("16 MiB"));
  std::string lists = "{% set a = [1] %}";
  for (int turn = 0; turn < 60; ++turn) lists += "{% set a = [a, a] %}";
  EXPECT_THAT(error_of(lists), HasSubstr("too many steps"));
  std::string loops, ends;
  for (int level = 0; level < 20; ++level) loops += "{% for c in words %}", ends += "{% endfor %}";
  EXPECT_THAT(error_of(loops + ends), HasSubstr("too many steps"));
  EXPECT_THAT(error_of(std::string(100'000, 'x')), HasSubstr("longer than 64 KiB"));
}

TEST(JinjaTemplateTest, ListsReadBackAsTheyWerePrinted) {
  EXPECT_EQ(parse_python_literal(rendered("{{ choices }}")), kDocument["choices"]);
  EXPECT_EQ(parse_python_literal("[1, -2.5, ['a', \"b\"], None, True]"),
            Json::parse(R"([1, -2.5, ["a", "b"], null, true])"));
  EXPECT_THAT(refusal([] { parse_python_literal("[open('x')]"); }), HasSubstr("only methods can be called"));
  EXPECT_THAT(refusal([] { parse_python_literal("['a'.upper()]"); }), HasSubstr("is not a list of strings or numbers"));
}

}  // namespace
}  // namespace moebench
