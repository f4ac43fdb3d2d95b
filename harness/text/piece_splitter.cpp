#include "harness/text/piece_splitter.h"

#include <algorithm>
#include <stdexcept>
#include <vector>

namespace moebench {
namespace {

struct Fragment {
  Pieces::Span span;
  bool matched;
};

// The whole piece as alternating gaps and matches, empty ones left out.
void cut_piece(const Pieces& pieces, const Pieces::Span& piece, RegexSearch& search, bool invert,
               std::vector<Fragment>& fragments) {
  const auto add = [&](size_t begin, size_t end, bool matched) {
    if (begin != end) fragments.push_back({{piece.begin + begin, piece.begin + end}, matched != invert});
  };
  fragments.clear();
  size_t end = 0;
  search.start_on(pieces.view(piece));
  while (search.next()) {
    add(end, search.begin(), false);
    add(search.begin(), search.end(), true);
    end = search.end();
  }
  add(end, piece.end - piece.begin, false);
}

void keep_unmatched(const std::vector<Fragment>& fragments, std::vector<Pieces::Span>& spans) {
  for (const Fragment& fragment : fragments) {
    if (!fragment.matched) spans.push_back(fragment.span);
  }
}

void keep_all(const std::vector<Fragment>& fragments, std::vector<Pieces::Span>& spans) {
  for (const Fragment& fragment : fragments) spans.push_back(fragment.span);
}

void join_runs(const std::vector<Fragment>& fragments, std::vector<Pieces::Span>& spans) {
  const size_t first = spans.size();
  bool previous = false;
  for (const Fragment& fragment : fragments) {
    if (fragment.matched == previous && spans.size() > first) {
      spans.back().end = fragment.span.end;
    } else {
      spans.push_back(fragment.span);
    }
    previous = fragment.matched;
  }
}

// A match joins the gap before it; a second match in a row stands alone.
void merge_with_previous(const std::vector<Fragment>& fragments, std::vector<Pieces::Span>& spans) {
  const size_t first = spans.size();
  bool previous = false;
  for (const Fragment& fragment : fragments) {
    if (fragment.matched && !previous && spans.size() > first) {
      spans.back().end = fragment.span.end;
    } else {
      spans.push_back(fragment.span);
    }
    previous = fragment.matched;
  }
}

void merge_with_next(const std::vector<Fragment>& fragments, std::vector<Pieces::Span>& spans) {
  const size_t first = spans.size();
  bool next = false;
  for (auto fragment = fragments.rbegin(); fragment != fragments.rend(); ++fragment) {
    if (fragment->matched && !next && spans.size() > first) {
      spans.back().begin = fragment->span.begin;
    } else {
      spans.push_back(fragment->span);
    }
    next = fragment->matched;
  }
  std::reverse(spans.begin() + static_cast<ptrdiff_t>(first), spans.end());
}

void keep(SplitBehavior behavior, const std::vector<Fragment>& fragments, std::vector<Pieces::Span>& spans) {
  switch (behavior) {
    case SplitBehavior::kRemoved:
      return keep_unmatched(fragments, spans);
    case SplitBehavior::kIsolated:
      return keep_all(fragments, spans);
    case SplitBehavior::kMergedWithPrevious:
      return merge_with_previous(fragments, spans);
    case SplitBehavior::kMergedWithNext:
      return merge_with_next(fragments, spans);
    case SplitBehavior::kContiguous:
      return join_runs(fragments, spans);
  }
}

}  // namespace

SplitBehavior parse_split_behavior(const std::string& name) {
  if (name == "Removed") return SplitBehavior::kRemoved;
  if (name == "Isolated") return SplitBehavior::kIsolated;
  if (name == "MergedWithPrevious") return SplitBehavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return SplitBehavior::kMergedWithNext;
  if (name == "Contiguous") return SplitBehavior::kContiguous;
  throw std::runtime_error("pre_tokenizer Split: behavior '" + name +
                           "' is not supported; known: Removed Isolated MergedWithPrevious MergedWithNext Contiguous");
}

std::function<void(Pieces&)> split_step(Regex pattern, SplitBehavior behavior, bool invert) {
  return [pattern = std::move(pattern), behavior, invert](Pieces& pieces) {
    RegexSearch search(pattern);
    std::vector<Fragment> fragments;
    std::vector<Pieces::Span> spans;
    spans.reserve(pieces.spans.size());
    for (const Pieces::Span& piece : pieces.spans) {
      cut_piece(pieces, piece, search, invert, fragments);
      keep(behavior, fragments, spans);
    }
    pieces.spans = std::move(spans);
  };
}

}  // namespace moebench
