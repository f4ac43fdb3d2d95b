// Reference arrays of ../shared/golden/methods: NAME.json describes NAME.bin (the folder's README has the format).
#pragma once

#include <optional>
#include <string>

#include <ATen/core/Tensor.h>
#include <nlohmann/json.hpp>

namespace moebench {

class GoldenArrays {
 public:
  // Nothing if the file is not there; for GTEST_SKIP.
  static std::optional<GoldenArrays> read(const std::string& name);

  const nlohmann::json& meta() const { return description_.at("meta"); }
  // f32 as fp32, f64 as double, all integers as int64.
  at::Tensor operator[](const std::string& array) const;

 private:
  nlohmann::json description_;
  std::string bytes_;
};

}  // namespace moebench
