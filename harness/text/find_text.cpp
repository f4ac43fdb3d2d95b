// Texts by name: in the user's data folder, then in the cache that scripts/fetch fills.
#include <stdexcept>
#include <vector>

#include "harness/cache_folder.h"
#include "harness/text/corpus.h"

namespace moebench {
namespace {

namespace fs = std::filesystem;

// Where a data folder may keep the text, likeliest first.
std::vector<fs::path> places_in(const fs::path& data, const std::string& name) {
  std::vector<fs::path> places;
  if (name == "wikitext2" || name == "wikitext2-validation") {
    const char* file = name == "wikitext2" ? "wiki.test.raw" : "wiki.valid.raw";
    for (const char* folder : {"", "ppl/wikitext2", "wikitext2", "wikitext-2-raw"}) {
      places.push_back(data / folder / file);
    }
  } else {
    for (const char* folder : {"", "calib", "calib_dive"}) {
      for (const char* ending : {".jsonl", ".jsonl.gz", ".txt"}) places.push_back(data / folder / (name + ending));
    }
  }
  return places;
}

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored) && !fs::is_directory(path, ignored);
}

}  // namespace

fs::path find_text(const std::string& name_or_path) {
  if (is_file(name_or_path)) return name_or_path;
  const bool is_name = !name_or_path.empty() && name_or_path.find('/') == std::string::npos;
  if (!is_name) throw std::runtime_error("text '" + name_or_path + "': there is no such file");
  const fs::path data = folder_from_environment("MOEBENCH_DATA");
  if (!data.empty()) {
    for (const fs::path& place : places_in(data, name_or_path)) {
      if (is_file(place)) return place;
    }
  }
  std::string fetched_places;
  for (const char* folder : {"text", "domains"}) {
    const fs::path fetched = cache_folder() / folder / (name_or_path + ".jsonl");
    if (is_file(fetched)) return fetched;
    fetched_places += " and no " + fetched.string();
  }
  throw std::runtime_error("text '" + name_or_path + "': no such file, not " +
                           (data.empty() ? "in a data folder (none is given)" : "in the data folder " + data.string()) +
                           fetched_places +
                           "; give its path, the folder that holds it with --data, or run scripts/fetch text domains");
}

Corpus read_named_corpus(const std::string& name_or_path) {
  const fs::path path = find_text(name_or_path);
  Corpus corpus = read_corpus(path);
  if (path != name_or_path) corpus.name = name_or_path;
  return corpus;
}

}  // namespace moebench
