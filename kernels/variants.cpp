#include "kernels/variants.h"

#include <stdexcept>

#include "kernels/cpu/fused.h"
#include "kernels/cpu/instruction_set.h"
#include "kernels/cuda/variants.h"
#include "kernels/library.h"
#include "kernels/reference.h"

namespace moebench::kernels {
namespace {

const std::vector<Dtype> kBoth = {Dtype::kFloat32, Dtype::kBFloat16};

std::vector<MoeFfnVariant> list_cpu_variants() {
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

const std::vector<MoeFfnVariant>& cpu_variants() {
  static const std::vector<MoeFfnVariant> variants = list_cpu_variants();
  return variants;
}

std::vector<MoeFfnVariant> list_variants() {
  std::vector<MoeFfnVariant> variants = cpu_variants();
  if (!cuda::why_unavailable().empty()) return variants;
  for (MoeFfnVariant& variant : cuda::variants()) variants.push_back(std::move(variant));
  return variants;
}

}  // namespace

const std::vector<MoeFfnVariant>& moe_ffn_variants() {
  static const std::vector<MoeFfnVariant> variants = list_variants();
  return variants;
}

const MoeFfnVariant& moe_ffn_variant(const std::string& name) {
  const bool is_cuda = name.starts_with("cuda");
  if (is_cuda && !cuda::why_unavailable().empty()) {
    throw std::invalid_argument("kernel '" + name + "': " + cuda::why_unavailable());
  }
  std::string known;
  // Who asks for a processor's kernel does not wait for the GPU's driver.
  for (const MoeFfnVariant& variant : is_cuda ? moe_ffn_variants() : cpu_variants()) {
    if (variant.name == name) return variant;
    known += (known.empty() ? "" : " ") + variant.name;
  }
  throw std::invalid_argument("unknown kernel '" + name + "'; known: " + known);
}

}  // namespace moebench::kernels
