// WikiText-2 as lm-evaluation-harness reads it: the raw text by pages, and its tokenisation undone.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace moebench {

// The pages of a raw file: a new one begins with each article title (" = Title = ", but not " = = Section = = "), as in
// the data set EleutherAI/wikitext_document_level.
std::vector<std::string> wikitext_pages(std::string_view raw_text);

// lm_eval/tasks/wikitext/preprocess_wikitext.py's wikitext_detokenizer.
std::string detokenised_wikitext(std::string_view page);

}  // namespace moebench
