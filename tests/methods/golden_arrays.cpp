#include "tests/methods/golden_arrays.h"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include <ATen/ATen.h>

namespace moebench {
namespace {

std::string read_bytes(const std::filesystem::path& path) {
  std::ostringstream bytes;
  bytes << std::ifstream(path, std::ios::binary).rdbuf();
  return bytes.str();
}

}  // namespace

std::optional<GoldenArrays> GoldenArrays::read(const std::string& name) {
  const std::filesystem::path folder = std::filesystem::path(MOEBENCH_SHARED_DIR) / "golden" / "methods";
  if (!std::filesystem::exists(folder / (name + ".json"))) return std::nullopt;
  GoldenArrays arrays;
  arrays.description_ = nlohmann::json::parse(read_bytes(folder / (name + ".json")));
  arrays.bytes_ = read_bytes(folder / (name + ".bin"));
  return arrays;
}

at::Tensor GoldenArrays::operator[](const std::string& array) const {
  static const std::map<std::string, at::ScalarType> kTypes = {{"f32", at::kFloat},  {"f64", at::kDouble},
                                                               {"i32", at::kInt},    {"i64", at::kLong},
                                                               {"u16", at::kUInt16}, {"u8", at::kByte}};
  const nlohmann::json& entry = description_.at("arrays").at(array);
  const auto shape = entry.at("shape").get<std::vector<int64_t>>();
  const char* data = bytes_.data() + entry.at("offset").get<int64_t>();
  const at::Tensor stored =
      at::from_blob(const_cast<char*>(data), shape, at::TensorOptions(kTypes.at(entry.at("dtype").get<std::string>())));
  return stored.is_floating_point() ? stored.clone() : stored.to(at::kLong);
}

}  // namespace moebench
