#include "harness/text/encoding_profile.h"

#include <stdexcept>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace moebench {
namespace {

const std::pair<const char*, EncodingProfile> kProfiles[] = {
    {"0.3", {.encodes_jointly = false, .adds_bos = false, .prefix_is_eos = true}},
    {"0.4.2", {.adds_bos = false, .prefix_is_eos = true}},
    {"0.4.9.1", {.adds_bos = false}},
    {kDefaultEncodingProfile, {}},
    {"0.4.13-repeated-bos", {.repeats_bos = true}},
};

}  // namespace

std::vector<std::string> encoding_profile_names() {
  std::vector<std::string> names;
  for (const auto& [name, profile] : kProfiles) names.emplace_back(name);
  return names;
}

EncodingProfile encoding_profile(const std::string& name) {
  for (const auto& [known, profile] : kProfiles) {
    if (name == known) return profile;
  }
  throw std::invalid_argument(
      fmt::format("no compatibility profile '{}'; there are {}", name, fmt::join(encoding_profile_names(), ", ")));
}

}  // namespace moebench
