// Names that a database may hold and no renderer may obey.
#pragma once

#include <string>
#include <vector>

#include "results/cell_text.h"
#include "tests/results/synthetic_runs.h"

namespace moebench {

inline const std::vector<std::string> kHostileNames = {
    "<script>alert(1)</script>",
    "</title></desc></svg><img src=x onerror=alert(1)>",
    "\" onmouseover=\"alert(1)",
    "' onmouseover='alert(1)",
    "a & b &amp; <!-- ]]> -->",
    "\\input{/etc/passwd} \\write18{ls} $x_1^2$ 50% #1 ~ {} & \\\\",
    "``quotes'' -- --- ?` !`",
    "[99in] first",
    "* first",
    "=cmd|'/c calc'!A0, \"x\"\r\ny",
    "| a ` b * _c_ [d](e) <ins>",
    "\x1b[31mred\x1b]0;title\x07 \x08\x7f\x9b",
    "größe 模型 \xf0\x9f\x98\x80 e\xcc\x81 \xe2\x80\xae rtl",
    "broken \xff\xfe \xc3 \xed\xa0\x80 utf-8",
    "line\nbreak\ttab\0nul",
    "",
};

// A dense parent and a conversion of it, everything that has a name having this one.
inline SyntheticRuns runs_named(const std::string& name) {
  SyntheticRuns runs;
  // A config is JSON, which no broken bytes get into; the database's own texts may be any.
  const std::string text = one_line(name);
  runs.about["model"] = text;
  runs.measure(0, {{name + "/ppl", "", 25, Direction::kLowerIsBetter, 5, 0.5}}, text, {{"text", text}});
  runs.use(text, text, 0.75, {{text, text}});
  runs.about["changed_options"] = {{text, text}};
  runs.about["calibration"]["texts"] = {text};
  for (const int64_t seed : {0, 1}) {
    runs.measure(seed, {{name + "/ppl", "", 40.0 + static_cast<double>(seed), Direction::kLowerIsBetter, 5, 0.5}}, text,
                 {{"text", text}});
  }
  SyntheticRuns::fail(runs.convert(2, 20), name);
  return runs;
}

}  // namespace moebench
