#include "harness/commands/output_file.h"

#include <cstdio>
#include <stdexcept>

#include "harness/atomic_file.h"

namespace moebench {
namespace {

namespace fs = std::filesystem;

bool is_same(const fs::path& one, const fs::path& other) {
  std::error_code ignored;
  return fs::equivalent(one, other, ignored);
}

}  // namespace

void refuse_to_replace(const fs::path& input, const std::string& option, const fs::path& output) {
  if (!is_same(input, output)) return;
  throw std::invalid_argument(option + " " + output.string() + ": is the input " + input.string() +
                              ", which would be lost; name another file");
}

void write_output(const fs::path& output, const std::string& text) {
  write_output(output, [&](const auto& write) { write(text); });
}

void write_output(const fs::path& output, const TextMaker& make_text) {
  if (output.empty()) {
    make_text([](std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); });
    return;
  }
  AtomicFile file(output);
  make_text([&](std::string_view text) { file.write(text); });
  file.commit();
}

void refuse_to_replace_model(const fs::path& model, const std::string& option, const fs::path& output) {
  std::error_code ignored;
  const bool is_folder = fs::is_directory(model, ignored);
  const fs::path folder = is_folder ? model : fs::absolute(model, ignored).parent_path();
  if (is_folder && is_same(fs::absolute(output, ignored).parent_path(), folder)) {
    throw std::invalid_argument(option + " " + output.string() + ": is in the model's folder " + folder.string() +
                                ", where it could be taken for a part of the model; name a file elsewhere");
  }
  // A link elsewhere may point at the model's files. Of a split .gguf, any part may be named.
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
    if (is_folder || entry.path().extension() == ".gguf") refuse_to_replace(entry.path(), option, output);
  }
}

}  // namespace moebench
