// Texts by name: in the user's data folder, then in the cache that scripts/fetch fills; and a folder's.
#include <algorithm>
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

bool is_text_file(const fs::directory_entry& entry) {
  fs::path name = entry.path().filename();
  if (name.extension() == ".gz") name = name.stem();
  return entry.is_regular_file() && (is_json_lines(name) || name.extension() == ".raw" || name.extension() == ".txt");
}

std::vector<NamedText> texts_of_folder(const fs::path& folder) {
  std::vector<NamedText> texts;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (is_text_file(entry)) texts.push_back({folder_name(folder) + "/" + text_name(entry.path()), entry.path()});
  }
  if (texts.empty()) {
    throw std::runtime_error("text '" + folder.string() +
                             "': the folder has no text file (.jsonl, .json, .raw or .txt, perhaps with .gz behind)");
  }
  std::sort(texts.begin(), texts.end(), [](const auto& left, const auto& right) { return left.name < right.name; });
  const auto twin = std::adjacent_find(texts.begin(), texts.end(),
                                       [](const auto& left, const auto& right) { return left.name == right.name; });
  if (twin != texts.end()) {
    throw std::runtime_error("text '" + folder.string() + "': " + twin[0].path.filename().string() + " and " +
                             twin[1].path.filename().string() + " would both be called " + twin->name + "; rename one");
  }
  return texts;
}

NamedText find_named_text(const std::string& name_or_path) {
  const fs::path path = find_text(name_or_path);
  return {path == name_or_path ? text_name(path) : name_or_path, path};
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
  const NamedText text = find_named_text(name_or_path);
  Corpus corpus = read_corpus(text.path);
  corpus.name = text.name;
  return corpus;
}

std::vector<NamedText> find_texts(const std::string& name_or_path) {
  if (is_text_folder(name_or_path)) return texts_of_folder(name_or_path);
  return {find_named_text(name_or_path)};
}

bool is_text_folder(const std::string& name_or_path) {
  std::error_code ignored;
  return name_or_path.find('/') != std::string::npos && fs::is_directory(name_or_path, ignored);
}

std::string folder_name(const fs::path& folder) {
  const fs::path whole = fs::absolute(folder).lexically_normal();
  return (whole.has_filename() ? whole : whole.parent_path()).filename().string();
}

}  // namespace moebench
