#include "kernels/cpu/instruction_set.h"

#include <cstdlib>
#include <stdexcept>

namespace moebench::kernels {

std::vector<const InstructionSet*> machine_instruction_sets() {
  std::vector<const InstructionSet*> sets;
#ifdef __x86_64__
  const bool has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                          __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  if (has_avx512 && __builtin_cpu_supports("avx512bf16")) sets.push_back(&kAvx512Bf16);
  if (has_avx512) sets.push_back(&kAvx512);
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) sets.push_back(&kAvx2);
#endif
  return sets;
}

const InstructionSet* chosen_instruction_set() {
  const std::vector<const InstructionSet*> sets = machine_instruction_sets();
  const char* name = std::getenv("MOEBENCH_ISA");
  if (name == nullptr || *name == '\0') return sets.empty() ? nullptr : sets.front();
  std::string known;
  for (const InstructionSet* set : sets) {
    if (set->name == std::string(name)) return set;
    known += std::string(known.empty() ? "" : " ") + set->name;
  }
  throw std::invalid_argument("MOEBENCH_ISA is '" + std::string(name) +
                              "'; this machine has: " + (known.empty() ? "none" : known));
}

bool machine_has_bfloat16_tiles() {
#ifdef __x86_64__
  return __builtin_cpu_supports("amx-bf16");
#else
  return false;
#endif
}

}  // namespace moebench::kernels
