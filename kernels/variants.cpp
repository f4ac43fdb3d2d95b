#include "kernels/variants.h"

#include <stdexcept>

#include "kernels/cpu/fused.h"
#include "kernels/cpu/instruction_set.h"
#include "kernels/library.h"
#include "kernels/reference.h"

namespace moebench::kernels {
namespace {

const std::vector<Dtype> kBoth = {Dtype::kFloat32, Dtype::kBFloat16};

std::vector<MoeFfnVariant> list_variants() {
  std::vector<MoeFfnVariant> variants = {
      {"reference", "plain loops in double: the definition", kBoth, make_reference},
      {"library", "ATen's products, one expert after another: what operators give", kBoth, make_library}};
  const auto add_fused = [&](const std::string& name, const std::string& summary, const InstructionSet& set) {
    variants.push_back({name, summary, kBoth, [&set](const MoeFfn& network) { return make_fused(network, set); }});
  };
  if (const InstructionSet* best = chosen_instruction_set()) {
    add_fused("fused", std::string("one pass over packed weights, here with ") + best->name, *best);
  }
  for (const InstructionSet* set : machine_instruction_sets()) {
    add_fused(std::string("fused-") + set->name, std::string("the same with ") + set->name, *set);
  }
  return variants;
}

}  // namespace

const std::vector<MoeFfnVariant>& moe_ffn_variants() {
  static const std::vector<MoeFfnVariant> variants = list_variants();
  return variants;
}

const MoeFfnVariant& moe_ffn_variant(const std::string& name) {
  std::string known;
  for (const MoeFfnVariant& variant : moe_ffn_variants()) {
    if (variant.name == name) return variant;
    known += (known.empty() ? "" : " ") + variant.name;
  }
  throw std::invalid_argument("unknown kernel '" + name + "'; known: " + known);
}

}  // namespace moebench::kernels
