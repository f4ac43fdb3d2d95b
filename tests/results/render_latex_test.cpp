#include "results/latex_text.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <unistd.h>

#include "results/comparison.h"
#include "results/render.h"
#include "tests/results/hostile_names.h"

namespace moebench {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string latex(const SyntheticRuns& runs, const ReportOptions& options = {}) {
  return render_latex(compare_runs(runs.runs()), options);
}

TEST(LatexTextTest, SpecialsAreText) {
  EXPECT_EQ(escape_latex("a_b 50% #1 $x$ {y} ~ ^ & \\"),
            "a\\_b 50\\% \\#1 \\$x\\$ \\{y\\} \\textasciitilde{} \\textasciicircum{} \\& \\textbackslash{}");
  EXPECT_EQ(escape_latex("<|>"), "\\ensuremath{<}\\ensuremath{|}\\ensuremath{>}");
}

TEST(LatexTextTest, NoNameIsAnArgumentOfALinesEnd) { EXPECT_EQ(escape_latex("[1in]*"), "{[}1in{]}{*}"); }

TEST(LatexTextTest, NoLigatureEatsASign) {
  EXPECT_EQ(escape_latex("a-b, c--d"), "a-b, c-{}-d");
  EXPECT_EQ(escape_latex("``x''"), "`{}`x'{}'");
}

TEST(LatexTextTest, WhatFontsLackIsNamed) {
  EXPECT_EQ(escape_latex("größe ± 1 × 2 ↓ †"),
            "größe \\ensuremath{\\pm} 1 \\ensuremath{\\times} 2 \\ensuremath{\\downarrow} \\ensuremath{\\dagger}");
  EXPECT_EQ(escape_latex("模 \xf0\x9f\x98\x80"), "U+6A21 U+1F600");
  EXPECT_EQ(escape_latex("\xff"), "U+FFFD");
}

SyntheticRuns latex_sweep() {
  SyntheticRuns runs;
  runs.measure_perplexity(0, 25);
  runs.use("static_pruning", "S6A0E8", 0.75);
  runs.measure_perplexity(0, 50);
  runs.use("cmoe", "S3A3E8", 0.75);
  runs.measure_perplexity(0, 40);
  runs.measure_perplexity(1, 44);
  return runs;
}

TEST(RenderLatexTest, IsABooktabsTableInGroups) {
  const std::string text = latex(latex_sweep());
  EXPECT_THAT(text, HasSubstr("\\toprule\n"));
  EXPECT_THAT(text, HasSubstr("\\bottomrule\n"));
  EXPECT_THAT(text, Not(HasSubstr("\\hline")));
  EXPECT_THAT(text, HasSubstr("dense &  & 100 \\% & 25.00 & 1.000 & -- & 0 & 1 \\\\\n\\midrule\n"));
  EXPECT_THAT(text,
              HasSubstr("static\\_pruning & S6A0E8 & 75 \\% & \\underline{50.00} & 2.000 & 16384 & 0 & 1 \\\\\n"));
  EXPECT_THAT(text, HasSubstr(" & \\textbf{42.00}\\ensuremath{_{\\pm 2.83}} & 1.680 & "));
}

TEST(RenderLatexTest, PublishedNumbersAreATableOfTheirOwn) {
  EXPECT_THAT(latex(latex_sweep()), Not(HasSubstr("arXiv")));
  const std::string text = latex(latex_sweep(), {.with_published = true});
  EXPECT_THAT(text, HasSubstr("LLaMA-2-7B & CMoE & S3A3E8 & 0 & WikiText-2 perplexity & 7.32 \\S{} & "));
}

// pdflatex as a paper would run it, without asking and without shell escapes.
TEST(RenderLatexTest, CompilesWithPdflatexWhateverTheNames) {
  if (std::system("command -v pdflatex > /dev/null 2>&1 && kpsewhich booktabs.sty > /dev/null 2>&1") != 0) {
    GTEST_SKIP() << "no pdflatex with booktabs here (Debian: texlive-latex-recommended)";
  }
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("moebench-latex-" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  std::ofstream document(folder / "report.tex");
  document << "\\documentclass{article}\n\\usepackage{booktabs,graphicx}\n\\begin{document}\n";
  document << latex(latex_sweep(), {.command = "moebench report --db a_b%c.sqlite", .with_published = true});
  for (const std::string& name : kHostileNames)
    document << latex(runs_named(name), {.command = name}) << "\\clearpage\n";
  document << "\\end{document}\n";
  document.close();
  const std::string command = "cd '" + folder.string() +
                              "' && pdflatex -no-shell-escape -interaction=nonstopmode -halt-on-error report.tex > "
                              "output.txt 2>&1";
  const int status = std::system(command.c_str());
  std::ifstream log(folder / "output.txt");
  const std::string messages((std::istreambuf_iterator<char>(log)), {});
  EXPECT_EQ(status, 0) << messages.substr(messages.size() - std::min<size_t>(messages.size(), 2000));
  EXPECT_TRUE(std::filesystem::exists(folder / "report.pdf"));
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace moebench
