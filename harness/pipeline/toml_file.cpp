// read_toml_file: a sweep file over those that it includes.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "harness/pipeline/toml_table.h"

namespace moebench {
namespace {

constexpr size_t kMaxFiles = 100;

// A pipe would wait for a writer, and a device may have no end.
std::string read_small_file(const std::string& file) {
  constexpr size_t kMaxBytes = size_t{1} << 20;
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(file, error);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    throw std::runtime_error(file + ": is not a regular file; give a sweep file, as sweeps/quickstart.toml");
  }
  std::ifstream stream(file, std::ios::binary);
  std::string content(kMaxBytes + 1, '\0');
  stream.read(content.data(), static_cast<std::streamsize>(content.size()));
  if (!stream.is_open() || stream.bad()) throw std::runtime_error(file + ": cannot be read; is the path right?");
  content.resize(static_cast<size_t>(stream.gcount()));
  if (content.size() > kMaxBytes) throw std::runtime_error(file + ": is larger than 1 MiB; is it a sweep file?");
  return content;
}

toml::table parse_file(const std::string& file) {
  try {
    return toml::parse(read_small_file(file), file);
  } catch (const toml::parse_error& error) {
    throw std::invalid_argument(file + ":" + std::to_string(error.source().begin.line) +
                                ": is not TOML: " + std::string(error.description()));
  }
}

// Moves, for a copied node forgets where it stood.
void put_over(toml::table& base, toml::table&& table) {
  for (auto&& [key, node] : table) {
    toml::node* old = base.get(key);
    if (old != nullptr && old->is_table() && node.is_table()) {
      put_over(*old->as_table(), std::move(*node.as_table()));
    } else if (old != nullptr && old->is_array_of_tables() && node.is_array_of_tables()) {
      for (toml::node& element : *node.as_array()) old->as_array()->push_back(std::move(*element.as_table()));
    } else {
      node.visit([&, &key = key](auto& value) { base.insert_or_assign(key, std::move(value)); });
    }
  }
}

class FileReader {
 public:
  toml::table read(const std::string& file) {
    std::error_code ignored;  // what cannot be read is refused below
    const std::filesystem::path identity = std::filesystem::weakly_canonical(file, ignored);
    const bool is_open = std::find(open_.begin(), open_.end(), identity) != open_.end();
    if (is_open) throw std::invalid_argument(file + ": includes itself, by way of " + open_.back().string());
    if (++num_files_ > kMaxFiles) throw std::invalid_argument(file + ": more than 100 files are included");
    open_.push_back(identity);
    toml::table root = parse_file(file);
    // A list of tables, [[include]], is something else: points of the sweep.
    const toml::node* include = root.get("include");
    if (include != nullptr && !include->is_array_of_tables()) root = over_included(std::move(root), file);
    open_.pop_back();
    return root;
  }

 private:
  toml::table over_included(toml::table root, const std::string& file) {
    TomlTable reader(root, "", file);
    const std::vector<std::string> names = reader.texts("include");
    root.erase("include");
    toml::table base;
    for (const std::string& name : names)
      put_over(base, read((std::filesystem::path(file).parent_path() / name).string()));
    put_over(base, std::move(root));
    return base;
  }

  std::vector<std::filesystem::path> open_;
  size_t num_files_ = 0;
};

}  // namespace

toml::table read_toml_file(const std::string& file) { return FileReader().read(file); }

}  // namespace moebench
