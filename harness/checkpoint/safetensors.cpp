#include "harness/checkpoint/safetensors.h"

#include <stdexcept>

#include <ATen/ATen.h>

#include "harness/atomic_file.h"
#include "harness/checkpoint/mapped_file.h"
#include "harness/checkpoint/safetensors_header.h"

namespace moebench {

struct SafetensorsFile::State {
  explicit State(const std::filesystem::path& path) : file(path), header(read_safetensors_header(file)) {}

  const SafetensorsHeader::Tensor& find(const std::string& name) const {
    const auto found = header.tensors.find(name);
    if (found == header.tensors.end()) {
      throw std::runtime_error(file.path().string() + ": tensor '" + name + "' is missing");
    }
    return found->second;
  }

  MappedFile file;
  SafetensorsHeader header;
};

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : state_(std::make_unique<State>(path)) {}
SafetensorsFile::~SafetensorsFile() = default;
SafetensorsFile::SafetensorsFile(SafetensorsFile&&) noexcept = default;

std::vector<std::string> SafetensorsFile::names() const {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : state_->header.tensors) names.push_back(name);
  return names;
}

bool SafetensorsFile::contains(const std::string& name) const { return state_->header.tensors.contains(name); }

at::Tensor SafetensorsFile::view(const std::string& name) const {
  const auto& [dtype, shape, bytes] = state_->find(name);
  const auto address = reinterpret_cast<uintptr_t>(bytes.data());
  if (address % c10::elementSize(dtype) == 0) {
    return at::from_blob(const_cast<char*>(bytes.data()), shape, at::TensorOptions(dtype));
  }
  // The header's length was no multiple of 8: legal, but C++ wants numbers aligned.
  at::Tensor copy = at::empty(shape, dtype);
  bytes.copy(static_cast<char*>(copy.mutable_data_ptr()), bytes.size());
  return copy;
}

std::string_view SafetensorsFile::bytes(const std::string& name) const { return state_->find(name).bytes; }

const std::map<std::string, std::string>& SafetensorsFile::metadata() const { return state_->header.metadata; }

void write_safetensors(const std::filesystem::path& path, const std::map<std::string, at::Tensor>& tensors,
                       std::map<std::string, std::string> metadata) {
  metadata.emplace("format", "pt");
  std::vector<SafetensorsEntry> entries;
  for (const auto& [name, tensor] : tensors) entries.push_back({name, tensor.scalar_type(), tensor.sizes().vec()});
  const std::string header = make_safetensors_header(entries, metadata);
  AtomicFile file(path);
  file.write(header);
  for (const SafetensorsEntry& entry : entries) {
    const at::Tensor stored = tensors.at(entry.name).cpu().contiguous();
    file.write({static_cast<const char*>(stored.const_data_ptr()), stored.nbytes()});
  }
  file.commit();
}

}  // namespace moebench
