#include "results/html_page.h"

#include <fmt/format.h>

#include "harness/content_hash.h"
#include "results/figure_style.h"
#include "results/markup.h"

namespace moebench {
namespace {

constexpr const char* kStyle = R"(
:root { color-scheme: light dark; }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 78rem; background: var(--ground); color: var(--ink);
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", "Liberation Sans", sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .25rem; }
h2 { font-size: 1.2rem; margin: 2.75rem 0 .5rem; padding-top: .75rem; border-top: 1px solid var(--rule); }
h3 { font-size: 1rem; margin: 1.5rem 0 .5rem; }
p, ul { margin: .5rem 0; } ul { padding-left: 1.2rem; }
a { color: var(--link); text-underline-offset: 2px; }
small, .quiet { color: var(--quiet); } small { font-size: .8125rem; }
nav a { margin-right: 1rem; white-space: nowrap; }
.summary { max-width: 62rem; } .summary li { margin: .3rem 0; }
.notes { font-size: .875rem; color: var(--quiet); max-width: 62rem; overflow-wrap: anywhere; }
.notes .warning, .failed { color: var(--alarm); }
.scroll { overflow-x: auto; margin: .75rem 0; border: 1px solid var(--rule); border-radius: 6px; }
.scroll:focus-visible, summary:focus-visible, button:focus-visible { outline: 2px solid var(--link); outline-offset: 1px; }
table { border-collapse: collapse; font-size: .875rem; line-height: 1.4; font-variant-numeric: tabular-nums; }
.scroll table { min-width: 100%; }
th, td { padding: .4rem .7rem; text-align: right; vertical-align: baseline; white-space: nowrap; }
th.text, td.text { text-align: left; }
thead th { vertical-align: bottom; border-bottom: 2px solid var(--rule); font-weight: 600; white-space: normal;
  min-width: 5rem; max-width: 12rem; background: var(--ground); }
thead th.wide { min-width: 9.5rem; } tbody th { font-weight: 400; } tbody tr + tr > * { border-top: 1px solid var(--rule); }
tr.group > * { background: var(--soft); color: var(--quiet); text-align: left; font-size: .8125rem; font-weight: 600; }
tr.group span { position: sticky; left: .7rem; }
.comparison th.name { position: sticky; left: 0; z-index: 1; background: var(--ground); text-align: left; white-space: normal;
  min-width: 15rem; max-width: 22rem; box-shadow: 1px 0 0 var(--rule); overflow-wrap: anywhere; }
.comparison th.name a { color: inherit; text-decoration-color: var(--rule); }
th.name small { display: block; line-height: 1.3; }
.tag { border: 1px solid var(--rule); border-radius: 3px; padding: 0 .3em; font-size: .75rem; color: var(--quiet); }
td.long { max-width: 14rem; overflow: hidden; text-overflow: ellipsis; }
td.best { font-weight: 700; } td u { text-underline-offset: 3px; }
td small { display: block; font-weight: 400; line-height: 1.3; } td.failed { white-space: normal; min-width: 7rem; }
th button { all: unset; cursor: pointer; display: inline; } th button:hover { text-decoration: underline; }
th button::after { content: " ⇅"; color: var(--quiet); opacity: .55; font-weight: 400; }
th[aria-sort=ascending] button::after { content: " ▲"; opacity: 1; }
th[aria-sort=descending] button::after { content: " ▼"; opacity: 1; }
figure { margin: 1.25rem 0 2rem; }
figure .picture { overflow-x: auto; } figure svg { display: block; width: 100%; min-width: 34rem; max-width: 54rem; height: auto; }
figcaption { font-size: .875rem; color: var(--quiet); max-width: 54rem; }
details { margin: .4rem 0; } summary { cursor: pointer; } summary code { font-size: .875rem; }
details.row { border: 1px solid var(--rule); border-radius: 6px; padding: .4rem .8rem; }
details.row:target { border-color: var(--link); }
pre { margin: .5rem 0; padding: .7rem .9rem; background: var(--soft); border-radius: 6px; white-space: pre-wrap;
  overflow-wrap: anywhere; font-size: .8125rem; line-height: 1.5; }
code, pre, .hash { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; }
.hash { font-size: .8125rem; }
@media (max-width: 40rem) { body { padding: 1.25rem .9rem 3rem; font-size: 16px; }
  .comparison th.name { min-width: 10.2rem; max-width: 11rem; } th, td { padding: .4rem .5rem; } }
@media print {
  @page { size: A4 landscape; margin: 11mm; }
  body { max-width: none; padding: 0; font-size: 9.5pt; } nav { display: none; }
  .scroll, figure .picture { overflow: visible; border: 0; } figure, tr, details.row { break-inside: avoid; }
  .comparison { font-size: 6.6pt; } .comparison th, .comparison td { padding: 1.5pt 3pt; }
  .comparison thead th { min-width: 0; max-width: none; } .comparison th.name { position: static; min-width: 32mm; box-shadow: none; }
  .comparison small, .comparison tr.group > * { font-size: 5.6pt; } .comparison .tag { font-size: 5pt; }
  td.long { max-width: 24mm; } th button::after { content: ""; }
  figure svg { max-width: 19cm; } a { color: inherit; text-decoration: none; } h2, h3 { break-after: avoid; } }
)";

// Clicks on a heading sort by it, then the other way, then as it was. Rows without a number stay last. The figures'
// tables are open on paper.
constexpr const char* kScript = R"(
'use strict';
const keyOf = (row, column) => {
  const cell = row.cells[column];
  if (cell.dataset.v === undefined) return cell.textContent.trim().toLowerCase();
  const number = parseFloat(cell.dataset.v);
  return Number.isNaN(number) ? null : number;
};
const ordered = (rows, column, sign) => rows.map(row => [keyOf(row, column), row]).sort(([a], [b]) => {
  if (a === null || b === null) return (a === null) - (b === null);
  return sign * (typeof a === 'number' && typeof b === 'number' ? a - b || 0 : String(a).localeCompare(String(b)));
}).map(([, row]) => row);
for (const table of document.querySelectorAll('table.sortable')) {
  const body = table.tBodies[0], original = [...body.rows], heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector('button').addEventListener('click', () => {
    const first = head.dataset.first, other = first === 'ascending' ? 'descending' : 'ascending';
    const now = head.getAttribute('aria-sort');
    const next = now === null ? first : now === first ? other : null;
    heads.forEach(each => each.removeAttribute('aria-sort'));
    if (next === null) return body.replaceChildren(...original);
    head.setAttribute('aria-sort', next);
    const rows = original.filter(row => !row.classList.contains('group'));
    body.replaceChildren(...ordered(rows, column, next === 'ascending' ? 1 : -1));
  }));
}
const openTarget = () => {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target && target.tagName === 'DETAILS') { target.open = true; target.scrollIntoView(); }
};
addEventListener('hashchange', openTarget);
openTarget();
const numbers = document.querySelectorAll('figure details');
let wasOpen = [];
// On paper letters have 63 % of their size here; a table that is still wider than A4 shrinks further.
const paperWidth = 1030, onPaper = 0.63;
addEventListener('beforeprint', () => {
  wasOpen = [...numbers].map(each => each.open);
  numbers.forEach(each => each.open = true);
  for (const table of document.querySelectorAll('.comparison')) {
    table.style.zoom = Math.min(1, paperWidth / (table.scrollWidth * onPaper));
  }
});
addEventListener('afterprint', () => {
  numbers.forEach((each, index) => each.open = wasOpen[index]);
  for (const table of document.querySelectorAll('.comparison')) table.style.zoom = '';
});
)";

std::string variables(const Palette& palette, const char* alarm) {
  return fmt::format("--ground: {}; --ink: {}; --quiet: {}; --rule: {}; --soft: {}; --link: {}; --alarm: {};",
                     palette.ground, palette.ink, palette.quiet, palette.rule, palette.soft, palette.series[0], alarm);
}

std::string page_style() {
  constexpr const char *kAlarmOnLight = "#a4262c", *kAlarmOnDark = "#ff9d96";
  const std::string light = variables(light_palette(), kAlarmOnLight);
  return ":root { " + light + " }\n@media (prefers-color-scheme: dark) { :root { " +
         variables(dark_palette(), kAlarmOnDark) + " } }\n@media print { :root { " + light + " } }" + kStyle +
         figure_style();
}

// What a Content-Security-Policy calls this text: 'sha256-' and base64.
std::string policy_hash(const std::string& text) {
  const std::string hex = content_hash(std::string_view(text));
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string encoded;
  uint32_t bits = 0;
  int num_bits = 0;
  for (const char digit : hex) {
    bits = bits << 4 | static_cast<uint32_t>(digit <= '9' ? digit - '0' : digit - 'a' + 10);
    num_bits += 4;
    if (num_bits < 6) continue;
    num_bits -= 6;
    encoded += kDigits[bits >> num_bits & 63];
  }
  if (num_bits > 0) encoded += kDigits[bits << (6 - num_bits) & 63];
  while (encoded.size() % 4 != 0) encoded += '=';
  return "'sha256-" + encoded + "'";
}

}  // namespace

std::string html_page_begin(const std::string& title) {
  const std::string style = page_style();
  return "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
         "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; base-uri 'none'; form-action "
         "'none'; style-src " +
         policy_hash(style) + "; script-src " + policy_hash(kScript) +
         "\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>" +
         escape_markup(title) + "</title>\n<style>" + style + "</style>\n</head>\n<body>\n";
}

std::string html_page_end() { return std::string("<script>") + kScript + "</script>\n</body>\n</html>\n"; }

}  // namespace moebench
