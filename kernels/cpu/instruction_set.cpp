#include "kernels/cpu/instruction_set.h"

#include <cstdlib>
#include <stdexcept>
#include <string_view>

#ifdef __x86_64__
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace moebench::kernels {
namespace {

#ifdef __x86_64__
// Linux keeps the tiles' 8 KB for those processes that ask for them.
bool may_use_tiles() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  static const bool is_permitted = syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  return is_permitted;
}
#endif

}  // namespace

std::vector<const InstructionSet*> machine_instruction_sets() {
  std::vector<const InstructionSet*> sets;
#ifdef __x86_64__
  const bool has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                          __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  const bool has_bfloat16 = has_avx512 && __builtin_cpu_supports("avx512bf16");
  const bool has_tiles = __builtin_cpu_supports("amx-tile") && __builtin_cpu_supports("amx-bf16");
  if (has_bfloat16 && has_tiles && may_use_tiles()) sets.push_back(&kAvx512Amx);
  if (has_bfloat16) sets.push_back(&kAvx512Bf16);
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

bool is_avx2(const InstructionSet* set) { return set != nullptr && set->name == std::string_view("avx2"); }

}  // namespace moebench::kernels
