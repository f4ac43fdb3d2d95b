#include "harness/moe_shape.h"

#include <charconv>
#include <stdexcept>
#include <string_view>

namespace moebench {
namespace {

// Takes "<letter><digits>" off the front of text. False if it is not there.
bool take_count(std::string_view& text, char letter, int64_t& count) {
  if (text.empty() || text.front() != letter) return false;
  const auto [end, error] = std::from_chars(text.data() + 1, text.data() + text.size(), count);
  if (error != std::errc{} || end == text.data() + 1) return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return true;
}

}  // namespace

MoeShape parse_moe_shape(const std::string& text, int64_t intermediate_size) {
  MoeShape shape;
  std::string_view rest = text;
  const bool well_formed = take_count(rest, 'S', shape.num_shared_experts) && take_count(rest, 'A', shape.top_k) &&
                           take_count(rest, 'E', shape.num_experts);
  const bool has_width = well_formed && take_count(rest, 'W', shape.expert_intermediate_size);
  if (!well_formed || !rest.empty()) {
    throw std::invalid_argument("shape '" + text + "' is not S<shared>A<active>E<experts>[W<neurons>], as in S3A3E8");
  }
  const auto refuse = [&](const std::string& why) { return std::invalid_argument("shape '" + text + "': " + why); };
  if (shape.num_experts < 1 || shape.num_shared_experts < 0 || shape.top_k < 0)
    throw refuse("needs at least one expert");
  if (shape.num_experts > intermediate_size) {
    throw refuse("has more experts than the " + std::to_string(intermediate_size) + " neurons here");
  }
  if (shape.num_shared_experts > shape.num_experts) throw refuse("has more shared experts than experts");
  if (shape.top_k > shape.num_routed_experts()) throw refuse("has more active experts than routed ones");
  if (shape.num_shared_experts + shape.top_k == 0) throw refuse("has no active expert");
  if (!has_width) {
    if (intermediate_size % shape.num_experts != 0) {
      throw refuse(std::to_string(shape.num_experts) + " experts do not share out " +
                   std::to_string(intermediate_size) + " neurons evenly; choose a divisor");
    }
    shape.expert_intermediate_size = intermediate_size / shape.num_experts;
  }
  if (shape.expert_intermediate_size < 1 || shape.expert_intermediate_size > intermediate_size) {
    throw refuse("an expert has 1 to " + std::to_string(intermediate_size) + " neurons here");
  }
  return shape;
}

std::string to_string(const MoeShape& shape, int64_t intermediate_size) {
  std::string text = "S" + std::to_string(shape.num_shared_experts) + "A" + std::to_string(shape.top_k) + "E" +
                     std::to_string(shape.num_experts);
  if (shape.expert_intermediate_size * shape.num_experts != intermediate_size) {
    text += "W" + std::to_string(shape.expert_intermediate_size);
  }
  return text;
}

}  // namespace moebench
