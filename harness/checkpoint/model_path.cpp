// resolve_model_path: where scripts/fetch puts models.
#include <algorithm>
#include <stdexcept>
#include <vector>

#include "harness/cache_folder.h"
#include "harness/checkpoint/checkpoint.h"

namespace moebench {
namespace {

namespace fs = std::filesystem;

// The .gguf files of a folder that one can open: of a split set, only the first.
std::vector<fs::path> gguf_files(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    const bool later_part = name.find("-of-") != std::string::npos && name.find("-00001-of-") == std::string::npos;
    if (name.ends_with(".gguf") && !later_part) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

fs::path resolve_model_path(const std::string& model) {
  std::error_code ignored;
  if (!model.empty() && fs::exists(model, ignored)) return model;
  const bool is_name = !model.empty() && model.find('/') == std::string::npos && model != "..";
  const fs::path folder = cache_folder() / "models" / model;
  if (!is_name || !fs::is_directory(folder, ignored)) {
    throw std::invalid_argument("model '" + model + "': no such path" +
                                (is_name ? ", and " + folder.string() +
                                               " does not exist; if it is a model that "
                                               "scripts/fetch knows (smollm2-135m), run scripts/fetch " +
                                               model
                                         : "; give a Hugging Face directory, a .gguf file or the name of a model that "
                                           "scripts/fetch knows (smollm2-135m)"));
  }
  if (fs::exists(folder / "config.json", ignored)) return folder;
  const auto files = gguf_files(folder);
  if (files.size() != 1) {
    throw std::invalid_argument("model '" + model + "': " + folder.string() + " holds " + std::to_string(files.size()) +
                                " .gguf files and no config.json; " +
                                (files.empty() ? "run scripts/fetch " + model : "give the path of one of them"));
  }
  return files.front();
}

}  // namespace moebench
