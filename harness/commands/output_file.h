// --out and --output: what a command must not write over.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace moebench {

// Throws std::invalid_argument if output, which option names, is the file input by whatever path. Files that are not
// there are no reason.
void refuse_to_replace(const std::filesystem::path& input, const std::string& option,
                       const std::filesystem::path& output);

// To stdout if output is "". Throws TryAgainError for a file that cannot be written.
void write_output(const std::filesystem::path& output, const std::string& text);

// The same for a text that is made piece by piece by make_text, which is given where to put it. If that throws, a file
// is left as it was.
using TextMaker = std::function<void(const std::function<void(std::string_view)>& write)>;
void write_output(const std::filesystem::path& output, const TextMaker& make_text);

// The same for all that a model consists of. model: a folder or a .gguf file. Nothing may be put into such a folder: a
// new model.safetensors there would hide the shards.
void refuse_to_replace_model(const std::filesystem::path& model, const std::string& option,
                             const std::filesystem::path& output);

}  // namespace moebench
