// The layout of a mixture of experts, S3A3E8 for short: 8 experts of intermediate_size / 8 neurons, 3 of them
// shared (always visited), 3 active of the other 5. A suffix W<neurons> sets the expert width: S0A1E8W768.
#pragma once

#include <cstdint>
#include <string>

namespace moebench {

struct MoeShape {
  int64_t num_shared_experts = 0;
  int64_t top_k = 0;        // routed experts that a token visits
  int64_t num_experts = 0;  // shared ones included
  int64_t expert_intermediate_size = 0;

  int64_t num_routed_experts() const { return num_experts - num_shared_experts; }
  int64_t active_neurons() const { return (num_shared_experts + top_k) * expert_intermediate_size; }

  bool operator==(const MoeShape&) const = default;
};

// text: "S3A3E8" or "S0A1E8W768". intermediate_size: neurons of the dense FFN; must be a multiple of the number
// of experts unless W is given. Throws std::invalid_argument naming what does not fit.
MoeShape parse_moe_shape(const std::string& text, int64_t intermediate_size);

// The inverse: W only where the width is not intermediate_size / num_experts.
std::string to_string(const MoeShape& shape, int64_t intermediate_size);

}  // namespace moebench
